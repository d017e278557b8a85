"""An auditor's bundle of one campaign, which checks itself without the store and without roundhouse.

README.md, verify.py          what this is; lib/bundle_verify.py as it stands here
bundle.json                   the sha256 of every file, what was left out, and a seal over all that
campaign/                     campaign.json, code/, every round.json, test.json
store/by-key/KEY/…            every record that the campaign's stages and what they read were published under
store/artifacts/ab/DIGEST/…   what these made: tables, and models without their weights unless these are asked for
store/forgotten/              notes of what was forgotten
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lib import bundle_verify, seeds
from lib.campaign import CampaignFolder
from lib.files import sha256_of, write_json
from lib.giving import aside, refuse
from lib.home import Home
from lib.ledger import Ledger
from lib.lineage_models import listed
from lib.models import WEIGHTS
from lib.store import Store

ARCHIVES = {".zip": "zip", ".tar": "tar", ".tar.gz": "gztar", ".tgz": "gztar"}
"""Ending of a file → its kind of archive."""

_README = """# Audit bundle of campaign '{name}'

Everything that campaign '{name}' made and read: {artifacts} artifacts, {records} records, {rounds} rounds{weights}.

    python verify.py

recomputes every digest and follows every model back to its examples and completions. It needs Python 3.9 or newer and
nothing else; where pyarrow is installed it counts the rows of every table too. It exits with 1 and names each file that does
not match. The seal that it prints stands for the whole bundle: compare it with what its sender says.

Tables are Parquet: `duckdb -c "SELECT reason, count(*) FROM 'store/artifacts/*/*/dropped.parquet' GROUP BY reason"`.
What models wrote is in them as it was written: treat it as hostile input.
"""


def write(home: Home, name: str, target: Path, *, weights: bool) -> dict[str, Any]:
    """Write the bundle to a folder, or to an archive where the target ends as one; says how much is in it, and its seal.

    Raises UnknownName for a campaign that is not there, UserError for a target that is taken.
    """
    campaign = CampaignFolder(home, name)
    campaign.load()
    kind = next((made for ending, made in ARCHIVES.items() if target.name.endswith(ending)), None)
    if kind is None:
        with aside(target) as folder:
            return _fill(home, campaign, folder, weights)
    refuse(target)
    with aside(target.with_name(f"{target.name}.folder")) as folder:
        (folder / name).mkdir()
        told = _fill(home, campaign, folder / name, weights)
        made = Path(shutil.make_archive(str(folder.with_name(f".{folder.name}")), kind, folder, name))
        made.replace(target)
    shutil.rmtree(target.with_name(f"{target.name}.folder"))
    return told


def artifacts_of(home: Home, name: str) -> tuple[set[str], set[str]]:
    """The artifacts and the keys of a campaign's stages and of everything behind them."""
    campaign = CampaignFolder(home, name).load()
    given = {*campaign.base.values(), *(digest for roles in campaign.external.values() for digest in roles.values())}
    given |= {reference.partition("/")[0] for references in campaign.replay.values() for reference in references}
    with Ledger(home, views=False) as ledger:
        found = {row["digest"] for row in ledger.rows("SELECT digest FROM stages WHERE campaign = $name", name=name)} | given
        keys = {row["key"] for row in ledger.rows("SELECT key FROM stages WHERE campaign = $name", name=name)}
        while True:
            more = {
                r["key"] for r in ledger.rows(f"SELECT key FROM artifacts WHERE key IS NOT NULL AND digest IN ({listed(found)})")
            } - keys
            keys |= more
            inputs = f"SELECT artifact AS digest FROM inputs WHERE key IN ({listed(keys)}) AND artifact IS NOT NULL"
            models = f"SELECT model AS digest FROM job_models WHERE key IN ({listed(keys)}) AND model IS NOT NULL"
            made = f"SELECT digest FROM artifacts WHERE key IN ({listed(keys)})"
            new = {row["digest"] for row in ledger.rows(f"{inputs} UNION {models} UNION {made}")} - found
            if not new and not more:
                return found, keys
            found |= new


def _fill(home: Home, campaign: CampaignFolder, out: Path, weights: bool) -> dict[str, Any]:
    store = Store(home.store)
    artifacts, keys = artifacts_of(home, campaign.name)
    left_out: list[str] = []
    for digest in sorted(artifacts):
        if store.place(digest).is_dir():
            left_out += _artifact(store, digest, out, weights)
    for key in sorted(keys):
        for path in sorted((home.store / "by-key" / key).glob("*.json")):
            _copy(path, out / "store" / "by-key" / key / path.name)
    for path in _campaign_files(campaign.path):
        _copy(path, out / "campaign" / path.relative_to(campaign.path))
    for path in sorted((home.store / "forgotten").glob("*.json")):
        _copy(path, out / "store" / "forgotten" / path.name)
    shutil.copyfile(str(bundle_verify.__file__), out / "verify.py")
    gone = sorted(digest for digest in artifacts if not store.place(digest).is_dir())
    told = {"artifacts": len(artifacts), "records": len(list(out.glob("store/by-key/*/*.json"))), "rounds": len(campaign.rounds())}
    spoken = " and the models' weights" if weights else "; models without their weights"
    (out / "README.md").write_text(_README.format(name=campaign.name, weights=spoken, **told), encoding="utf-8")
    files = _digests(out)
    body = {"format": 1, "campaign": campaign.name, "files": files, "left_out": left_out, "gone": gone}
    seal = seeds.digest(body)
    write_json(out / "bundle.json", {**body, "seal": seal})
    return {**told, "files": len(files), "seal": seal}


def _artifact(store: Store, digest: str, out: Path, weights: bool) -> list[str]:
    """Copy an artifact's files; the names of those that are left out, or not there any more."""
    folder = store.place(digest)
    inside = f"store/artifacts/{digest[:2]}/{digest}"
    there = sorted(path for path in folder.rglob("*") if path.is_file())
    left = [path for path in there if WEIGHTS.fullmatch(path.name) and not weights]
    for path in there:
        if path not in left:
            _copy(path, out / inside / path.relative_to(folder))
    return [f"{inside}/{path.relative_to(folder)}" for path in left] + [f"{inside}/{name}" for name in sorted(store.gone(digest))]


def _campaign_files(folder: Path) -> Iterable[Path]:
    """What says what the campaign is and did; not who holds it now."""
    wanted = ("campaign.json", "test*.json", "code/*", "base/round.json", "round-*/round*.json")
    return sorted(path for pattern in wanted for path in folder.glob(pattern) if path.is_file())


def _digests(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): sha256_of(path) for path in sorted(out.rglob("*")) if path.is_file()}


def _copy(path: Path, target: Path) -> None:
    """A copy, not a second name: who alters a bundle must not alter the store."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
