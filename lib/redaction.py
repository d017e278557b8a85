"""The rows of a folder's tables without what was forgotten.

    of a forgotten problem      every row goes: of problems, completions, verdicts, nodes, token_scores, examples and their
                                sources, dropped. What a stage was given and what it made shrink alike, so that the counts
                                which stages promise still hold: so many completions a problem, each kept or dropped once
    of a forgotten completion   its problem is still owed it, so the rows that count it stay: completions, verdicts, nodes,
                                token_scores, with text, token ids, log-probabilities, masks, reasons, scores and seed taken
                                out, `finish_reason` error and `outcome` undecided, which no stage learns from. The example
                                that it was in goes; it and others that were in that example alone are dropped instead, by
                                "Forget", and keep the count
    of one that followed it     (parent_id: it was shown the forgotten text; or a node of a tree that continues its tokens) as of
                                the completion
    of a problem made of it     as of a forgotten problem; of one that is forgotten, what it was made of is as a forgotten completion

Ids stay where rows do; they are hashes, of which a short problem could still be guessed by trying. `metric_items` stay: a
number under a problem's id, without which a model's figures could not be told again. `evicted` stays: bare ids, which lie
beside a model that never learned what they were of. Not covered: `state`, and tables that
are no table of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib import tables
from lib.forgotten import Forgotten
from lib.records import DROPPED, TABLES, TableSpec

REASON = "forgotten"

_TAKEN_OUT: dict[str, dict[str, Any]] = {
    "completions": {
        "prompt_ids": [],
        "completion_ids": [],
        "text": "",
        "logprobs": [],
        "finish_reason": "error",
        "seed": 0,
        "loss_mask": None,
        "logprobs_at_1": None,
        "entropy_mean": None,
    },
    "verdicts": {"reason": REASON, "outcome": "undecided", "score": None, "raw_text": None, "n_tokens": 0},
    "nodes": {"prior": None, "value": None, "total_value": 0.0, "tokens": 0},
    "token_scores": {"logprobs": []},
}
"""Table → column → what stands there in a row that stays."""

_WHOLE = ("metric_items", "evicted")
"""Tables of which every row stays as it is."""

_PROBLEM = "problem_id"

_LOOKED_AT = {"problem_id", "completion_id", "rival_id", "example_id", "id", "unit", "reason", "text", "finish_reason", "outcome"}
"""Columns that tell which rows go or change."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is to go, of all that a home forgot."""

    problems: frozenset[str]
    removed: frozenset[str]
    blanked: frozenset[str]
    examples: frozenset[str]

    @classmethod
    def of(cls, forgotten: Iterable[Forgotten]) -> Redaction:
        every = list(forgotten)
        return cls(
            frozenset(name for one in every for name in one.problems),
            frozenset(name for one in every for name in one.removed),
            frozenset(name for one in every for name in one.blanked),
            frozenset(name for one in every for name in one.examples),
        )

    def folder(self, source: Path, out: Path) -> bool:
        """Write a folder's files without what was forgotten; False, and nothing written, where they hold none of it."""
        paths = sorted(path for path in source.rglob("*") if path.is_file() and not path.name.startswith("."))
        touched = [path for path in paths if self.holds(path)]
        if not touched:
            return False
        for path in paths:
            target = out / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path in touched:
                self._write(path, target)
            else:
                os.link(path, target)
        return True

    def in_place(self, folder: Path) -> bool:
        """The same for a folder that nobody reads yet."""
        paths = sorted(path for path in folder.rglob("*.parquet") if self.holds(path))
        made = []
        for path in paths:
            aside = path.with_suffix(".forgetting")
            self._write(path, aside)
            made.append((aside, path))
        for aside, path in made:
            aside.replace(path)
        return bool(made)

    def holds(self, path: Path) -> bool:
        """Whether a file has a row that would go or change; one that lists dropped completions, whether one is to be added."""
        if path.suffix != ".parquet" or path.stem not in TABLES:
            return False
        spec = tables.spec_of(path)
        if spec is DROPPED and self._orphans(path, spec):
            return True
        columns = [name for name in spec.schema.names if name in _LOOKED_AT]
        for batch in pq.ParquetFile(path).iter_batches(columns=columns):
            table = pa.Table.from_batches([batch])
            if not pc.all(self._stays(table, spec), min_count=0).as_py() or pc.any(self._changes(table, spec), min_count=0).as_py():
                return True
        return False

    def _write(self, path: Path, target: Path) -> None:
        spec = tables.spec_of(path)
        rows = pa.RecordBatchReader.from_batches(spec.schema, self._batches(path, spec, self._orphans(path, spec)))
        tables.write_ordered(rows, spec, target)

    def _batches(self, path: Path, spec: TableSpec, more: list[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
        """The rows that stay, in order, with `more` among them."""
        for batch in pq.ParquetFile(path).iter_batches():
            table = pa.Table.from_batches([batch]).replace_schema_metadata(None).cast(spec.schema)
            table = table.filter(self._stays(table, spec))
            table = _taken_out(table, spec, self._changes(table, spec))
            last = _key(table.slice(table.num_rows - 1).to_pylist()[0], spec) if table.num_rows else None
            while more and last is not None and _key(more[0], spec) < last:
                fitting = [row for row in more if _key(row, spec) < last]
                more = more[len(fitting) :]
                table = pa.concat_tables([table, spec.table(fitting)]).sort_by([(name, "ascending") for name in spec.primary_key])
            yield from table.combine_chunks().to_batches()
        yield from spec.table(more).to_batches()

    def _stays(self, table: pa.Table, spec: TableSpec) -> pa.ChunkedArray:
        """Of every row, whether it stays."""
        goes = [_among(table[_PROBLEM], self.problems)] if _PROBLEM in table.column_names and spec.name not in _WHOLE else []
        if spec.name in _TAKEN_OUT or spec.name == "example_sources":
            goes.append(_among(table["completion_id"], self.removed))
        if "example_id" in table.column_names and spec.name not in _WHOLE:
            goes.append(_among(table["example_id"], self.examples))
        if spec is DROPPED:
            gone = self.problems | self.removed | self.examples
            goes.append(_among(table["id"], gone))
        stays: Any = pa.chunked_array([pa.repeat(pa.scalar(True), table.num_rows)])
        for one in goes:
            stays = pc.and_(stays, pc.invert(one))
        return stays

    def _changes(self, table: pa.Table, spec: TableSpec) -> pa.ChunkedArray:
        """Of every row that stays, whether it still says something that it may not."""
        if spec.name == "completions":
            said = pc.or_(pc.not_equal(table["text"], ""), pc.not_equal(table["finish_reason"], "error"))
            return pc.and_(_among(table["completion_id"], self.blanked), said)
        if spec.name == "verdicts":
            every = self.blanked | self.removed
            about = pc.or_(_among(table["completion_id"], self.blanked), _among(table["rival_id"], every))
            return pc.and_(about, pc.not_equal(table["reason"], REASON))
        if spec.name in _TAKEN_OUT:
            return _among(table["completion_id"], self.blanked)
        if spec is DROPPED:
            return pc.and_(_among(table["id"], self.blanked), pc.not_equal(table["reason"], REASON))
        return pa.chunked_array([pa.repeat(pa.scalar(False), table.num_rows)])

    def _orphans(self, path: Path, spec: TableSpec) -> list[dict[str, Any]]:
        """Rows of `dropped` for completions that were used only in examples which go."""
        sources = path.with_name("example_sources.parquet")
        if spec is not DROPPED or not sources.is_file():
            return []
        every = pq.read_table(sources, columns=["example_id", "completion_id", "part"])
        every = every.filter(pc.not_equal(every["part"], "prompt"))
        goes = _among(every["example_id"], self.examples)
        used = {*every.filter(pc.invert(goes))["completion_id"].to_pylist()} if pc.any(goes, min_count=0).as_py() else set()
        lost = {*every.filter(goes)["completion_id"].to_pylist()} - used - self.removed
        rows = [{"unit": "completion", "id": name, "filter": "Forget", "reason": REASON} for name in sorted(lost)]
        return sorted(rows, key=lambda row: _key(row, spec))


def _taken_out(table: pa.Table, spec: TableSpec, changes: pa.ChunkedArray) -> pa.Table:
    """The table with the content of some rows taken out."""
    blanks = _TAKEN_OUT.get(spec.name, {"reason": REASON} if spec is DROPPED else {})
    if not blanks or not pc.any(changes, min_count=0).as_py():
        return table
    kept, blank = table.filter(pc.invert(changes)), table.filter(changes).to_pylist()
    changed = spec.table([{**row, **blanks} for row in blank])
    return pa.concat_tables([kept, changed]).sort_by([(name, "ascending") for name in spec.primary_key])


def _among(column: pa.ChunkedArray, names: frozenset[str]) -> pa.ChunkedArray:
    return pc.fill_null(pc.is_in(column, value_set=pa.array(sorted(names), pa.string())), False)


def _key(row: dict[str, Any], spec: TableSpec) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in spec.primary_key)
