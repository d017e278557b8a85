"""What lies below a home: its artifacts' files, its records, its rounds.

Paths are plain strings here: there may be ten thousand of them, and making them was most of the time. Where there are many,
what was read in them is noted (lib.noted), by the time of change of each artifact's folder, each key's folder and each
round.json: their files are written once, and whatever is added or removed changes that time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lib import forgotten, models, seeds, tombstone
from lib.errors import UserError
from lib.files import read_json
from lib.noted import Noted
from lib.round_record import RoundRecord, read_round

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Artifact:
    """The files of one artifact as a listing shows them."""

    digest: str
    folder: str
    bytes: int
    names: list[str]
    contents: list[str]
    """What lib.store.Store.content gives for each folder directly inside it."""
    weights: str | None
    """The digest of a model's weights, those that were collected too; None where it is no model."""
    now: str | None
    """The artifact that took its place when something in it was forgotten; None where nothing was."""


def artifacts(root: Path, noted: Noted) -> Iterator[Artifact]:
    """Every artifact, in order of its digest."""
    for bucket in _entries(root):
        for entry in _entries(bucket.path):
            told = noted.of(entry.path, entry.stat().st_mtime_ns, partial(_listed, entry.path))
            yield Artifact(entry.name, entry.path, **told)


def _listed(folder: str) -> Row:
    """What is known of an artifact but for its name, as JSON."""
    sizes = dict(_sizes(folder, ""))
    names = [name for name in sizes if not name.startswith(".")]
    replaced = forgotten.stone(Path(folder)) if forgotten.NAME in sizes else None
    index = read_json(Path(folder, ".files.json"))["files"] if replaced is not None else {}
    inside = sorted({name.partition("/")[0] for name in [*names, *index] if "/" in name})
    stone = tombstone.read(Path(folder)) if tombstone.NAME in sizes else None
    gone = stone.missing(Path(folder)) if stone is not None else {}
    is_model = any(models.WEIGHTS.fullmatch(name) for name in [*names, *gone])
    index = read_json(Path(folder, ".files.json"))["files"] if inside or is_model else index
    parts = [{name.removeprefix(f"{part}/"): sha for name, sha in index.items() if name.startswith(f"{part}/")} for part in inside]
    weights = {name: sha for name, sha in index.items() if models.WEIGHTS.fullmatch(name)}
    return {
        "bytes": sum(sizes[name] for name in names),
        "names": names,
        "contents": [seeds.digest(part) for part in parts],
        "weights": seeds.digest(weights) if is_model else None,
        "now": replaced.now if replaced is not None else None,
    }


def _sizes(folder: str, inside: str) -> Iterator[tuple[str, int]]:
    """Name and bytes of every file below a folder; dot files directly in it too."""
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _sizes(entry.path, f"{inside}{entry.name}/")
        elif not (inside and entry.name.startswith(".")):
            yield inside + entry.name, entry.stat().st_size


def records(root: Path, noted: Noted) -> Iterator[Row]:
    """What the views need of every record of a publication, by key and version."""
    for key in _entries(root):
        yield from noted.of(key.path, key.stat().st_mtime_ns, partial(_versions, key.path))


def _versions(folder: str) -> list[Row]:
    """The records of one key."""
    stems = [entry.name.removesuffix(".json") for entry in _entries(folder) if entry.name.endswith(".json")]
    return [_record(Path(folder, f"{version}.json")) for version in sorted(int(stem) for stem in stems if stem.isdigit())]


def _record(path: Path) -> Row:
    record = read_json(path)
    if not isinstance(record, dict) or not {"key", "version", "ingredients", "output"} <= record.keys():
        raise UserError(f"{path} is no record of the store; move it away, and what it tells of is made again when it is needed")
    made = record["ingredients"]
    return {
        "digest": record["output"]["digest"],
        "kind": made["kind"],
        "key": record["key"],
        "version": record["version"],
        "rows": sorted(record["output"]["rows"].items()),
        "seed": made["seed"],
        "settings": seeds.canonical(made["settings"]),
        "code": seeds.digest(made["code"]),
        "versions": seeds.canonical(made["versions"]),
        "inputs": made["inputs"],
        "models": made["models"],
    }


def rounds(campaigns: Path, noted: Noted) -> list[RoundRecord]:
    """Every attempt at a round; how the base model was made (`base/round.json`) is part of round 0."""
    found: dict[tuple[str, int, int], RoundRecord] = {}
    for path in sorted(campaigns.glob("*/*/round.json")):
        record = RoundRecord(**noted.of(str(path), path.stat().st_mtime_ns, partial(_round, path)))
        place = (record.campaign, record.round, record.attempt)
        found[place] = _joined(found[place], record) if place in found else record
    return [found[place] for place in sorted(found)]


def _round(path: Path) -> Row:
    return asdict(read_round(path))


def _joined(base: RoundRecord, measured: RoundRecord) -> RoundRecord:
    """Round 0: the base model's warm start, whose folder sorts first, and its measuring."""
    return RoundRecord(
        campaign=measured.campaign,
        round=measured.round,
        attempt=measured.attempt,
        state=measured.state,
        start=base.start,
        made=base.made,
        stages={**base.stages, **measured.stages},
        metrics=[*base.metrics, *measured.metrics],
        decision=measured.decision,
        decisions=measured.decisions,
        seconds=measured.seconds,
    )


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:  # a fresh home, or an artifact that was just set aside
        return []
