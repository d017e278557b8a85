"""The beginnings of completions that were not right, cut after each of their steps (Ni et al. 2023, partial solutions).

Nothing is drawn: a beginning has the tokens, the log-probabilities and the prompt of the completion that it is cut from, which is
its parent, and counts as cut off, so it has no end-of-text token. The last step is left out, since nothing follows it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from lib import records, seeds
from lib.protocols import Engine, Report, Tables
from lib.samplers.rows import engine_of
from lib.strategy import Strategy


class Prefixes(Strategy):
    """One row for each step but the last of each completion without a correct verdict."""

    draws: ClassVar[bool] = False

    role: str = "policy"
    """Whose tokenizer the completions are read with."""
    separator: str = Field(";", min_length=1)
    """What ends a step; a beginning ends with it."""
    most: int = Field(16, ge=1)
    """Beginnings of one completion, the shortest first."""

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        engine = engine_of(engines, self.role)
        rows = [row for parent in self._parents(tables) for row in self._cut(parent, engine)]
        return records.COMPLETIONS.table(rows)

    def owes(self, tables: Tables) -> int:
        return sum(len(self._ends(parent["text"])) for parent in self._parents(tables))

    def _parents(self, tables: Tables) -> list[dict[str, Any]]:
        verdicts = tables.verdicts.select(["completion_id", "outcome", "step"]).to_pylist()
        right = {v["completion_id"] for v in verdicts if v["outcome"] == "correct" and v["step"] is None}
        found = tables.completions.to_pylist()
        return [row for row in found if row["completion_id"] not in right and row["finish_reason"] != "error"]

    def _ends(self, text: str) -> list[int]:
        """Where its beginnings end, in characters; one that would be the whole text is none."""
        return list(self._places(text))[: self.most]

    def _places(self, text: str) -> Iterator[int]:
        end = text.find(self.separator)
        while end >= 0 and end + len(self.separator) < len(text):
            yield end + len(self.separator)
            end = text.find(self.separator, end + len(self.separator))

    def _cut(self, parent: dict[str, Any], engine: Engine) -> Iterator[dict[str, Any]]:
        ids = parent["completion_ids"]
        for index, end in enumerate(self._ends(parent["text"])):
            count = bisect.bisect_right(range(len(ids)), end, key=lambda tokens: len(engine.decode(ids[: tokens + 1])))
            name = seeds.short_id("prefix", parent["completion_id"], count, index)
            first = {
                column: parent[column][:count] for column in ("completion_ids", "logprobs", "logprobs_at_1", "loss_mask") if parent[column]
            }
            cut = {
                "completion_id": name,
                "parent_id": parent["completion_id"],
                "text": engine.decode(ids[:count]),
                "finish_reason": "length",
            }
            yield {**parent, **first, **cut, "step": index + 1, "entropy_mean": None}
