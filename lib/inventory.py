"""What lies below a home, as small tables: records, folder listings and round.json files are read, no Parquet file is opened.

Paths are plain strings here: there may be ten thousand of them, and making them was most of the time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import models, seeds, tombstone
from lib.errors import UserError
from lib.files import read_json
from lib.home import Home
from lib.records import METRICS, TABLES
from lib.round_record import RoundRecord, read_figures, read_round

_TEXT, _COUNT = pa.string(), pa.int64()

_PLACE = {"campaign": _TEXT, "round": _COUNT, "attempt": _COUNT}

SCHEMAS: dict[str, pa.Schema] = {
    "artifacts": pa.schema(
        {
            "digest": _TEXT,
            "kind": _TEXT,  # the verb of the stage that made it; null where no record tells
            "key": _TEXT,
            "version": _COUNT,
            "rows": pa.map_(_TEXT, _COUNT),  # as the stage declared them, by table
            "bytes": _COUNT,  # null where the files are gone
            "seed": _COUNT,
            "settings": _TEXT,  # JSON
            "code": _TEXT,  # a digest over the sources of every module reached
            "versions": _TEXT,  # JSON
        }
    ),
    "inputs": pa.schema({"key": _TEXT, "name": _TEXT, "content": _TEXT, "artifact": _TEXT}),
    "job_models": pa.schema({"key": _TEXT, "role": _TEXT, "weights": _TEXT, "model": _TEXT}),
    "rounds": pa.schema({**_PLACE, "state": _TEXT, "role": _TEXT, "model_in": _TEXT, "model_out": _TEXT, "sentence": _TEXT}),
    "metrics": pa.schema({**_PLACE, **{column.name: column.type for column in METRICS.schema}}),
    "costs": pa.schema(
        {
            **_PLACE,
            "stage": _TEXT,
            "verb": _TEXT,
            "reused": pa.bool_(),  # what of its jobs was made for another round or campaign, apart from the others
            "tokens": _COUNT,
            "device_seconds": pa.float64(),
            "seconds": pa.float64(),
        }
    ),
    "stages": pa.schema({**_PLACE, "stage": _TEXT, "verb": _TEXT, "key": _TEXT, "version": _COUNT, "digest": _TEXT, "reused": pa.bool_()}),
}
"""Name → columns of what is read from records; `artifacts` has one row a publication, `rounds` one a role."""

Row = dict[str, Any]


@dataclass(slots=True)
class Artifact:
    """The files of one artifact as a listing shows them."""

    digest: str
    folder: str
    bytes: int = 0
    names: list[str] = field(default_factory=list)
    is_collected: bool = False

    def index(self) -> dict[str, str]:
        """File name → sha256, as the artifact's own index says."""
        return read_json(Path(self.folder, ".files.json"))["files"]

    @property
    def is_model(self) -> bool:
        return any(models.WEIGHTS.fullmatch(name) for name in [*self.names, *self.gone])

    @property
    def gone(self) -> dict[str, str]:
        """File name → sha256 of weights that were collected."""
        stone = tombstone.read(Path(self.folder)) if self.is_collected else None
        return stone.missing(Path(self.folder)) if stone is not None else {}


@dataclass(frozen=True, slots=True)
class Inventory:
    """The Parquet files of every table, by artifact, and the small tables of SCHEMAS."""

    files: dict[str, dict[str, list[str]]]
    """Table name → artifact digest → paths."""
    tables: dict[str, pa.Table]


def take(home: Home) -> Inventory:
    """Look through a home. Raises UserError naming a record or round.json that is not readable JSON."""
    found = {artifact.digest: artifact for artifact in _artifacts(home.store / "artifacts")}
    records = list(_records(home.store / "by-key"))
    rounds = _rounds(home.campaigns)
    rows = {
        "artifacts": _artifact_rows(found, records),
        "inputs": _input_rows(found, records),
        "job_models": _model_rows(found, records),
        "rounds": [row for record in rounds for row in _round_rows(record)],
        "metrics": [row for record in rounds for row in _metric_rows(record)] + list(_test_rows(home.campaigns)),
        "costs": [row for record in rounds for row in _cost_rows(record)],
        "stages": [row for record in rounds for row in _stage_rows(record)],
    }
    return Inventory(_files(found.values()), {name: _table(name, rows[name]) for name in SCHEMAS})


def _table(name: str, rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMAS[name])


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:  # a fresh home, or an artifact that was just set aside
        return []


def _artifacts(root: Path) -> Iterator[Artifact]:
    for bucket in _entries(root):
        for entry in _entries(bucket.path):
            artifact = Artifact(entry.name, entry.path)
            _list(artifact, artifact.folder, "")
            yield artifact


def _list(artifact: Artifact, folder: str, inside: str) -> None:
    for entry in _entries(folder):
        if entry.is_dir():
            _list(artifact, entry.path, f"{inside}{entry.name}/")
        elif entry.name == tombstone.NAME:
            artifact.is_collected = True
        elif not entry.name.startswith("."):
            artifact.names.append(inside + entry.name)
            artifact.bytes += entry.stat().st_size


def _files(artifacts: Iterable[Artifact]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {name: {} for name in TABLES}
    for artifact in artifacts:
        for name in artifact.names:
            table = name.rpartition("/")[2].removesuffix(".parquet")
            if table in TABLES and name.endswith(".parquet"):
                found[table].setdefault(artifact.digest, []).append(f"{artifact.folder}/{name}")
    return found


def _records(root: Path) -> Iterator[Row]:
    """Every record of a publication, by key and version."""
    for key in _entries(root):
        stems = [entry.name.removesuffix(".json") for entry in _entries(key.path) if entry.name.endswith(".json")]
        for version in sorted(int(stem) for stem in stems if stem.isdigit()):
            path = Path(key.path, f"{version}.json")
            record = read_json(path)
            if not isinstance(record, dict) or not {"key", "version", "ingredients", "output"} <= record.keys():
                raise UserError(f"{path} is no record of the store; move it away, and what it tells of is made again when it is needed")
            yield record


def _artifact_rows(found: dict[str, Artifact], records: list[Row]) -> Iterator[Row]:
    for record in records:
        made, output = record["ingredients"], record["output"]
        held = found.get(output["digest"])
        yield {
            "digest": output["digest"],
            "kind": made["kind"],
            "key": record["key"],
            "version": record["version"],
            "rows": sorted(output["rows"].items()),
            "bytes": held.bytes if held else None,
            "seed": made["seed"],
            "settings": seeds.canonical(made["settings"]),
            "code": seeds.digest(made["code"]),
            "versions": seeds.canonical(made["versions"]),
        }
    recorded = {record["output"]["digest"] for record in records}
    for digest, artifact in found.items():
        if digest not in recorded:
            yield {"digest": digest, "bytes": artifact.bytes}


def _input_rows(found: dict[str, Artifact], records: list[Row]) -> Iterator[Row]:
    """One row per key, name and content; content is an artifact's digest, or that of one folder's files in it."""
    holders = {content: artifact.digest for artifact in found.values() for content in _folder_contents(artifact)}
    for key, made in _by_key(records).items():
        for name, contents in sorted(made["inputs"].items()):
            for content in contents:
                holder = content if content in found else holders.get(content)
                yield {"key": key, "name": name, "content": content, "artifact": holder}


def _folder_contents(artifact: Artifact) -> list[str]:
    """What lib.store.Store.content gives for each folder directly inside an artifact."""
    inside = sorted({name.partition("/")[0] for name in artifact.names if "/" in name})
    if not inside:
        return []
    index = artifact.index()
    parts = [{n.removeprefix(f"{f}/"): sha for n, sha in index.items() if n.startswith(f"{f}/")} for f in inside]
    return [seeds.digest(part) for part in parts]


def _model_rows(found: dict[str, Artifact], records: list[Row]) -> Iterator[Row]:
    """Which model artifact played each role of a job. Keys hold digests of its parts, so it is known by its weights."""
    holders: dict[str, list[Artifact]] = {}
    for artifact in found.values():
        if artifact.is_model:
            weights = {name: sha for name, sha in artifact.index().items() if models.WEIGHTS.fullmatch(name)}
            holders.setdefault(seeds.digest(weights), []).append(artifact)
    for key, made in _by_key(records).items():
        for role, parts in sorted(made["models"].items()):
            model = _same(holders.get(parts["weights"], []), parts)
            yield {"key": key, "role": role, "weights": parts["weights"], "model": model}


def _same(holders: list[Artifact], parts: dict[str, str]) -> str | None:
    """The artifact with these parts; only where several share their weights are their files read to tell them apart."""
    if len(holders) > 1:
        holders = [artifact for artifact in holders if models.identity(Path(artifact.folder), artifact.gone) == parts]
    return holders[0].digest if holders else None


def _by_key(records: list[Row]) -> dict[str, Row]:
    """Key → its ingredients, which are the same in all its versions."""
    return {record["key"]: record["ingredients"] for record in records}


def _rounds(campaigns: Path) -> list[RoundRecord]:
    """Every attempt at a round; how the base model was made (`base/round.json`) is part of round 0."""
    found: dict[tuple[str, int, int], RoundRecord] = {}
    for path in sorted(campaigns.glob("*/*/round.json")):
        record = read_round(path)
        place = (record.campaign, record.round, record.attempt)
        found[place] = _joined(found[place], record) if place in found else record
    return [found[place] for place in sorted(found)]


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
    )


def _place(record: RoundRecord) -> Row:
    return {"campaign": record.campaign, "round": record.round, "attempt": record.attempt}


def _round_rows(record: RoundRecord) -> Iterator[Row]:
    for role in sorted({*record.start, *record.made}):
        models_of = {"model_in": record.start.get(role), "model_out": record.made.get(role)}
        state = ("accepted" if record.accepts(role) else "rejected") if role in record.decisions else record.state
        sentence = record.decisions.get(role, record.decision or {}).get("sentence")
        yield {**_place(record), "state": state, "role": role, **models_of, "sentence": sentence}


def _metric_rows(record: RoundRecord) -> Iterator[Row]:
    for row in record.metrics:
        yield {**_place(record), **{name: row.get(name) for name in METRICS.schema.names}}


def _test_rows(campaigns: Path) -> Iterator[Row]:
    """The closing figures, which stand beside the rounds."""
    for path in sorted(campaigns.glob("*/test.json")):
        for row in read_figures(path):
            yield {"campaign": path.parent.name, **{n: row.get(n) for n in ("round", "attempt", *METRICS.schema.names)}}


def _cost_rows(record: RoundRecord) -> Iterator[Row]:
    for path, stage in record.stages.items():
        for name, told in stage.get("cost", {}).items():
            yield {**_place(record), "stage": path, "verb": stage["verb"], "reused": name == "reused", **told}


def _stage_rows(record: RoundRecord) -> Iterator[Row]:
    for path, stage in record.stages.items():
        for job in stage["jobs"]:
            done = {name: job[name] for name in ("key", "version", "digest", "reused")}
            yield {**_place(record), "stage": path, "verb": stage["verb"], **done}
