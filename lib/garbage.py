"""What a home holds that nothing needs any more, and its removal.

    scratch   what an unfinished job kept for its next try, once the job is published or its campaign is gone
    weights   of models, their *.safetensors alone, that are none of these:
              base model, champion or external model of a campaign, or named `round:N` in its recipe;
              made by one of a campaign's last rounds, or what these began with or were measured against in training;
              of a round that has not finished, or on no record yet; anything that a campaign which runs now has on record

Tables, records, tokenizers, configurations and the names of everything stay for good: lineage and queries answer as before.
What is kept is decided while no campaign can begin and no model be found or published (lib.in_use), some seconds at most.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib import seeds
from lib.campaign import CampaignFolder, models_by_reference, strings
from lib.errors import DamagedArtifact
from lib.home import Home
from lib.in_use import collecting, drop_abandoned, in_use
from lib.models import WEIGHTS
from lib.round_record import RoundRecord, read_round
from lib.store import Store
from lib.tombstone import Maker

_LABEL = re.compile(r"(\S+) r(\d+)(?:\.\d+)? (\S+)")
_ROUND = re.compile(r"round:\d+")


@dataclass(frozen=True, slots=True)
class Garbage:
    """One thing that may go."""

    what: str  # scratch or weights
    name: str
    """The folder of scratch, below the home's; the digest of a model."""
    maker: Maker | None
    bytes: int
    why: str


@dataclass(slots=True)
class Needed:
    """What campaigns need, and where what they do not need was made."""

    models: set[str] = field(default_factory=set)
    weights: set[str] = field(default_factory=set)
    """Digests of weights, as content keys have them."""
    older: dict[str, int] = field(default_factory=dict)
    """Campaign → the last of its rounds that is old; -1 where none is."""
    made: dict[str, tuple[Maker, str]] = field(default_factory=dict)
    """Model → where a round made it, and why it may go if nothing needs it."""


def find(home: Home, keep: int) -> list[Garbage]:
    """What may go while the last `keep` rounds of every campaign stay whole. Raises UserError for a damaged campaign."""
    store = Store(home.store)
    return [*_scratch(home, store), *_weights(home, store, keep)]


def collect(home: Home, keep: int) -> list[Garbage]:
    """Remove it, and say what went. Killed in the middle, it leaves a whole store, and the next one goes on."""
    store = Store(home.store)
    with collecting(home.locks):
        drop_abandoned(home.locks)
        found = find(home, keep)
        for garbage in found:
            if garbage.what == "weights":
                store.collect(garbage.name, _safetensors(store.folder(garbage.name)), garbage.maker)
            else:
                _drop(home, store, garbage.name)
    return found


def _scratch(home: Home, store: Store) -> Iterator[Garbage]:
    for folder in sorted(home.scratch.glob("*/*")):
        campaign, key = folder.parent.name, folder.name
        is_published, is_gone = bool(store.versions(key)), not (home.campaigns / campaign).is_dir()
        with store.key_lock(key, wait=False) as is_idle:
            if is_idle and (is_published or is_gone):
                size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                why = "its job is done" if is_published else "its campaign is gone"
                yield Garbage("scratch", f"{campaign}/{key}", Maker(campaign, 0, ""), size, why)


def _drop(home: Home, store: Store, name: str) -> None:
    with store.key_lock(Path(name).name, wait=False) as is_idle:
        if is_idle:
            shutil.rmtree(home.scratch / name)


def _weights(home: Home, store: Store, keep: int) -> Iterator[Garbage]:
    models = {folder.name: names for folder in sorted(home.store.glob("artifacts/*/*")) if (names := _safetensors(folder))}
    needed = Needed(models=in_use(home.locks))
    for folder in _campaigns(home):
        _add(folder, store, keep, needed)
    needed.models |= {store.now(digest) for digest in needed.models}  # an online training's tables may have been rewritten
    needed.made |= {store.now(digest): maker for digest, maker in needed.made.items()}
    unknown = models.keys() - needed.models - needed.made.keys()
    makers = _labelled(store, unknown) if unknown else {}
    for digest, names in models.items():
        maker, why = needed.made.get(digest) or _unrecorded(home, makers.get(digest), needed)
        if digest in needed.models or not why or _is_needed(store, digest, names, needed.weights):
            continue
        yield Garbage("weights", digest, maker, sum((store.folder(digest) / name).stat().st_size for name in names), why)


def _safetensors(folder: Path) -> list[str]:
    """The weights that lie in an artifact; nothing where it is no model."""
    return sorted(path.name for path in folder.glob("*.safetensors") if WEIGHTS.fullmatch(path.name))


def _is_needed(store: Store, digest: str, names: Iterable[str], weights: set[str]) -> bool:
    try:
        files = store.files(digest)
    except DamagedArtifact:
        return True  # to be looked at, not to be made smaller
    return seeds.digest({name: files.get(name) for name in names}) in weights


def _campaigns(home: Home) -> list[CampaignFolder]:
    """Every campaign, one whose beginning was cut short too."""
    return [CampaignFolder(home, name) for name in sorted({path.parent.name for path in home.campaigns.glob("*/campaign.*")})]


def _add(folder: CampaignFolder, store: Store, keep: int, needed: Needed) -> None:
    """Put down what one campaign needs."""
    is_held = folder.holder() is not None
    base, rounds = folder.base(), folder.rounds()
    rerunning = [read_round(path) for path in sorted(folder.path.glob("round-*/rerunning.json"))]
    superseded = [read_round(path) for path in sorted(folder.path.glob("round-*/round.superseded-*.json"))]
    standing = [*([base] if base else []), *rounds]
    finished = folder.finished()
    older = max((record.round for record in finished), default=0) - keep
    if folder.exists:
        needed.models |= _by_reference(folder, finished, [*rounds, *rerunning])
    needed.older[folder.name] = older if folder.exists and not is_held else -1
    for record in [*standing, *rerunning, *superseded]:
        is_recent = record.round > older and record not in superseded
        if is_held or not folder.exists or is_recent or record.state == "running" or record in rerunning:
            needed.models |= {*record.start.values(), *record.made.values()}
            needed.weights |= _read_by(record, store)
    for record in [*superseded, *standing]:
        why = "superseded by a rerun" if record in superseded else _old(record, keep)
        for path, job in _models_made(record):
            needed.made[job["digest"]] = Maker(folder.name, record.round, path), why


def _by_reference(folder: CampaignFolder, finished: list[RoundRecord], records: list[RoundRecord]) -> set[str]:
    """The models that a campaign's references mean; `latest` and those of its rounds only where a recipe names them."""
    campaign = folder.load()
    known = models_by_reference(campaign, finished)
    named = {*strings(campaign.recipe), *(value for record in records for value in record.overrides.values())}
    wanted = {name for name in known if name in named or not (name == "latest" or _ROUND.fullmatch(name))}
    return {digest for name in wanted for digest in known[name].values()}


def _models_made(record: RoundRecord) -> Iterator[tuple[str, dict[str, Any]]]:
    """Stage path and job of every model that a round made."""
    for path, stage in record.stages.items():
        if stage["verb"] == "train":
            yield from ((path, job) for job in stage["jobs"])


def _read_by(record: RoundRecord, store: Store) -> set[str]:
    """The weights that a round's training began with and was measured against."""
    found: set[str] = set()
    for _, job in _models_made(record):
        try:
            ingredients = store.read(job["key"], job["version"]).ingredients
        except DamagedArtifact:
            continue
        found |= {parts["weights"] for parts in ingredients["models"].values()}
    return found


def _old(record: RoundRecord, keep: int) -> str:
    last = "the last round" if keep == 1 else f"the last {keep} rounds"
    why = f"older than {last}, not the champion" if keep else "not the champion"
    is_owed = record.round and record.state != "running" and "evaluate/test" not in record.stages
    return why + ("; the closing figures will lack it" if is_owed else "")


def _labelled(store: Store, wanted: set[str]) -> dict[str, Maker]:
    """Model → the job that published it, as its stats say."""
    found: dict[str, Maker] = {}
    for key in store.published_keys():
        for version in store.versions(key):
            label = _LABEL.match(str(store.stats(key, version).get("label", "")))
            try:
                digest = store.read(key, version).digest if label else ""
            except DamagedArtifact:
                continue
            if label and digest in wanted:
                found[digest] = Maker(label[1], int(label[2]), label[3])
    return found


def _unrecorded(home: Home, maker: Maker | None, needed: Needed) -> tuple[Maker | None, str]:
    """Why a model may go that no round has on record; for no reason, where its own may still come to it."""
    if maker is None:
        return None, "nothing says what it is for"
    if not (home.campaigns / maker.campaign).is_dir():
        return None, "it belongs to no campaign"
    return (maker, "no round has it on record") if maker.round <= needed.older.get(maker.campaign, -1) else (maker, "")
