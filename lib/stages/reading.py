"""The tables that a stage's inputs hold."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from lib import records, tables
from lib.protocols import Tables, Work
from lib.records import TableSpec


def table_of(folders: list[Path], spec: TableSpec) -> pa.Table:
    """One table over the artifacts that hold it, in the order given."""
    return tables.read([folder / f"{spec.name}.parquet" for folder in folders], spec)


def tables_of(work: Work) -> Tables:
    """The problems, completions and verdicts among a work item's inputs."""
    return Tables(
        problems=table_of(work.inputs.get("problems", []), records.PROBLEMS),
        completions=table_of(work.inputs.get("completions", []), records.COMPLETIONS),
        verdicts=table_of(work.inputs.get("verdicts", []), records.VERDICTS),
    )
