"""What lies below a home, as small tables: records, folder listings and round.json files are read, no Parquet file is opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import forgotten, listing, models, round_record, tombstone
from lib.home import Home
from lib.listing import Artifact
from lib.noted import Noted
from lib.records import METRICS, TABLES
from lib.round_record import RoundRecord, read_figures

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
    "inputs": pa.schema(
        {"key": _TEXT, "name": _TEXT, "place": _COUNT, "content": _TEXT, "artifact": _TEXT}
    ),  # place: among those of its name
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
    "forgotten": pa.schema({"kind": _TEXT, "id": _TEXT, "forgotten_at": _TEXT, "before": _TEXT, "after": _TEXT}),  # a row for each artifact
    "forgotten_models": pa.schema({"kind": _TEXT, "id": _TEXT, "model": _TEXT, "how": _TEXT}),
    "stages": pa.schema({**_PLACE, "stage": _TEXT, "verb": _TEXT, "key": _TEXT, "version": _COUNT, "digest": _TEXT, "reused": pa.bool_()}),
}
"""Name → columns of what is read from records; `artifacts` has one row a publication, `rounds` one a role."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Inventory:
    """The Parquet files of every table, by artifact, and the small tables of SCHEMAS."""

    files: dict[str, dict[str, list[str]]]
    """Table name → artifact digest → paths."""
    tables: dict[str, pa.Table]


def take(home: Home) -> Inventory:
    """Look through a home. Raises UserError naming a record or round.json that is not readable JSON."""
    noted = Noted(home.index / "noted.json", (listing.__file__, round_record.__file__))
    found = {artifact.digest: artifact for artifact in listing.artifacts(home.store / "artifacts", noted)}
    records = list(listing.records(home.store / "by-key", noted))
    rounds = listing.rounds(home.campaigns, noted)
    if home.writable:
        noted.save()
    rows = {
        "artifacts": _artifact_rows(found, records),
        "inputs": _input_rows(found, records),
        "job_models": _model_rows(found, records),
        "rounds": [row for record in rounds for row in _round_rows(record)],
        "metrics": [row for record in rounds for row in _metric_rows(record)] + list(_test_rows(home.campaigns)),
        "costs": [row for record in rounds for row in _cost_rows(record)],
        "stages": [{**row, "digest": _now(found, row["digest"])} for record in rounds for row in _stage_rows(record)],
    }
    gone = forgotten.known(home.store)
    rows["forgotten"] = [
        {"kind": kind, "id": name, "forgotten_at": one.at, "before": before, "after": after}
        for one in gone
        for kind, name in ((one.kind, one.id), *(("problem", born) for born in one.born))
        for before, after in sorted(one.artifacts.items())
    ]
    rows["forgotten_models"] = [
        {"kind": kind, "id": name, "model": model, "how": how}
        for one in gone
        for kind, name in ((one.kind, one.id), *(("problem", born) for born in one.born))
        for model, how in one.learned.items()
    ]
    return Inventory(_files(found.values()), {name: _table(name, rows[name]) for name in SCHEMAS})


def _table(name: str, rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMAS[name])


def _files(artifacts: Iterable[Artifact]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {name: {} for name in TABLES}
    for artifact in artifacts:
        for name in artifact.names:
            table = name.rpartition("/")[2].removesuffix(".parquet")
            if table in TABLES and name.endswith(".parquet"):
                found[table].setdefault(artifact.digest, []).append(f"{artifact.folder}/{name}")
    return found


def _now(found: dict[str, Artifact], digest: str) -> str:
    """The artifact that took another's place when something in it was forgotten, and so on to the last."""
    while digest in found and (after := found[digest].now) is not None:
        digest = after
    return digest


def _artifact_rows(found: dict[str, Artifact], records: list[Row]) -> Iterator[Row]:
    for record in records:
        held = found.get(record["digest"])
        yield {**record, "rows": [tuple(pair) for pair in record["rows"]], "bytes": held.bytes if held and not held.now else None}
    recorded = {record["digest"] for record in records}
    for digest, artifact in found.items():
        if digest not in recorded and not artifact.now:
            yield {"digest": digest, "bytes": artifact.bytes}


_READ_OF_ITSELF = ("completions", "examples")
"""What a training that sampled for itself read of its own artifact, as others read of the artifacts of stages before them."""


def _input_rows(found: dict[str, Artifact], records: list[Row]) -> Iterator[Row]:
    """One row per key, name and place; content is an artifact's digest, or that of one folder's files in it."""
    holders = {content: artifact.digest for artifact in found.values() for content in artifact.contents}
    for key, made in _by_key(records).items():
        for name, contents in sorted(made["inputs"].items()):
            for place, content in enumerate(contents):
                holder = content if content in found else holders.get(content)
                yield {"key": key, "name": name, "place": place, "content": content, "artifact": _now(found, holder) if holder else None}
        for name in _READ_OF_ITSELF if made["kind"] == "train" and "example_sources" in dict(made["rows"]) else ():
            yield {"key": key, "name": name, "place": 0, "content": made["digest"], "artifact": _now(found, made["digest"])}


def _model_rows(found: dict[str, Artifact], records: list[Row]) -> Iterator[Row]:
    """Which model artifact played each role of a job. Keys hold digests of its parts, so it is known by its weights."""
    holders: dict[str, list[Artifact]] = {}
    for artifact in found.values():
        if artifact.weights is not None:
            holders.setdefault(artifact.weights, []).append(artifact)
    for key, made in _by_key(records).items():
        for role, parts in sorted(made["models"].items()):
            model = _same(holders.get(parts["weights"], []), parts)
            yield {"key": key, "role": role, "weights": parts["weights"], "model": model}


def _same(holders: list[Artifact], parts: dict[str, str]) -> str | None:
    """The artifact with these parts; only where several share their weights are their files read to tell them apart."""
    if len(holders) > 1:
        holders = [artifact for artifact in holders if _identity(Path(artifact.folder)) == parts]
    return holders[0].digest if holders else None


def _identity(folder: Path) -> dict[str, str]:
    stone = tombstone.read(folder)
    return models.identity(folder, stone.missing(folder) if stone is not None else {})


def _by_key(records: list[Row]) -> dict[str, Row]:
    """Key → a record of it; inputs and models are the same in all its versions."""
    return {record["key"]: record for record in records}


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
