"""The tables that a stage of a recorded round made, read from the store."""

from __future__ import annotations

from typing import Any

from lib import records, tables
from lib.home import Home
from lib.store import Store

Row = dict[str, Any]


def made(home: Home, record: Row, stage: str, table: str) -> list[Row]:
    """The rows of a table that `PHASE/STAGE` made, over all its shards; none where it made no such table."""
    store = Store(home.store)
    references = record["stages"][stage]["made"].get(table, [])
    rows: list[Row] = tables.read([store.folder(r) / f"{table}.parquet" for r in references], records.TABLES[table]).to_pylist()
    return rows


def by_id(home: Home, record: Row, stage: str) -> dict[str, Row]:
    """completion_id → the completion, of a stage that samples."""
    return {row["completion_id"]: row for row in made(home, record, stage, "completions")}


def outcomes(home: Home, record: Row, stage: str) -> dict[str, str]:
    """completion_id → outcome, of a stage with one verifier."""
    return {row["completion_id"]: row["outcome"] for row in made(home, record, stage, "verdicts")}


def figures(home: Home, record: Row, stage: str) -> Row:
    """The closing figures of a stage of one job."""
    job = record["stages"][stage]["jobs"][0]
    return Store(home.store).stats(job["key"], job["version"])


def completions_of(home: Home, digest: str) -> list[Row]:
    """The completions of one artifact; none where it holds none."""
    path = Store(home.store).folder(digest) / "completions.parquet"
    rows: list[Row] = tables.read(path, records.COMPLETIONS).to_pylist() if path.is_file() else []
    return rows
