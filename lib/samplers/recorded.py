"""Completions that another model wrote, out of a file, in the place of sampling: real outputs through a whole round.

Each problem of the stage gets the completions that the file has for it; a problem without any owes nothing. The text is
turned into tokens by the policy's own engine, prompt and answer as it would see them itself, followed by the end of text
unless the length limit cut the completion off. Those are not the tokens that were sampled: `ids_source` is `retokenised` and
`logprobs` is empty, so a filter stage must be allowed by name to make examples of them (`SftRows(allow_retokenised=True)`).
Only tokens that the record has, from a table of our own, and that this engine reads alike are kept as they were sampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from lib import records, seeds
from lib.datafile import DataFile
from lib.protocols import Engine, Report, Tables
from lib.recordings.columns import Columns
from lib.recordings.recordings import Recordings
from lib.recordings.rows import RECORDED
from lib.samplers.rows import engine_of
from lib.strategy import Strategy


class Recorded(Strategy):
    """The recorded completions of each problem, in the order of their models and sample indices."""

    draws: ClassVar[bool] = False
    """These tokens cost nothing: no model writes them here."""
    path: DataFile
    """A file of recorded completions in any layout that `lib.recordings.layouts` knows."""
    columns: Columns = Columns()
    """Columns of the file that are given by name; the others are found."""
    written_by: str | None = None
    """Only what this model wrote, where the file has several."""
    n: int | None = Field(default=None, ge=1)
    """At most so many completions of a problem, the first; all unless given."""
    role: str = "policy"
    """Whose tokenizer and chat template write the rows."""

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        engine = engine_of(engines, self.role)
        problems = tables.problems.select(["problem_id", "prompt"]).to_pylist()
        prompts = {problem["problem_id"]: engine.render(records.chat(problem["prompt"])) for problem in problems}
        rows = [_written(row, prompts[row["problem_id"]], engine) | {"role": self.role} for row in self._recorded(tables)]
        report(len(rows), len(rows))
        return records.COMPLETIONS.table(rows)

    def owes(self, tables: Tables) -> int:
        return len(self._recorded(tables))

    def _recorded(self, tables: Tables) -> list[dict[str, Any]]:
        """The rows for these problems; a record of another edition of one, with tests of its own, answers none of them."""
        mine = set(tables.problems["problem_id"].to_pylist())
        rows = Recordings(path=self.path, columns=self.columns).found(tables.problems).completions
        found = [row for row in rows if row["problem_id"] in mine and self.written_by in (None, row["model_id"].removeprefix(RECORDED))]
        found.sort(key=lambda row: (row["problem_id"], row["model_id"], row["sample_index"], row["completion_id"]))
        groups = groupby(found, key=itemgetter("problem_id"))
        return [row for _, rows in groups for row in islice(rows, self.n)]


def _written(row: Mapping[str, Any], prompt_ids: list[int], engine: Engine) -> dict[str, Any]:
    """The row in this engine's tokens, with an id that says which; what was never sampled has none."""
    ids = row["completion_ids"]
    if ids and row["prompt_ids"] == prompt_ids and engine.decode(ids) == row["text"]:
        return dict(row)
    ids = engine.encode(row["text"])
    ids = {"length": ids[:-1], "error": []}.get(row["finish_reason"], ids)
    tokens = {"prompt_ids": prompt_ids, "completion_ids": ids, "ids_source": "retokenised", "logprobs": []}
    unknown = dict.fromkeys(("logprobs_at_1", "entropy_mean", "loss_mask"))
    return {**row, **tokens, **unknown, "completion_id": seeds.short_id(row["completion_id"], prompt_ids, ids)}
