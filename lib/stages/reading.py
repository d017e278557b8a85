"""The tables that a stage's inputs hold."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from lib import records, tables
from lib.protocols import Tables, Work
from lib.records import TableSpec

INPUTS = {
    "problems": records.PROBLEMS,
    "completions": records.COMPLETIONS,
    "verdicts": records.VERDICTS,
    "token_scores": records.TOKEN_SCORES,
    "nodes": records.NODES,
    "rivals": records.COMPLETIONS,
}
"""Name of an input → the table that it holds."""


def table_of(folders: list[Path], spec: TableSpec) -> pa.Table:
    """One table over the artifacts that hold it, in the order given."""
    return tables.read([folder / f"{spec.name}.parquet" for folder in folders], spec)


def tables_of(work: Work) -> Tables:
    """The tables among a work item's inputs."""
    return Tables(**{name: table_of(work.inputs.get(name, []), spec) for name, spec in INPUTS.items()})
