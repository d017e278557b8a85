"""How far a model agrees with itself about a completion: the share of its assessments that say what most of them say (V.vote).

An assessment is a completion that follows the one judged (its parent) and was written as another role. Of those that `pattern`
reads, k in all, with a_i what its first group finds:

    score = max_a (1/k) Σ_i 1[a_i = a]        KnowRL (2025) takes 8 assessments and rewards their agreement

Accepts an attempt of which all assessments say the same. Rejects one on which they are at odds. Cannot catch: what all of them get
wrong alike; a model that learns from this reward learns to be sure, not to be right. Undecided: fewer than two assessments
that can be read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import scores


class Consensus(Strategy):
    """One score for each completion that was assessed; no outcome."""

    name: str = "consensus"
    """The name of its verdicts."""
    assessor: str = "check"
    """The role that assessments are written as."""
    pattern: str = r"([0-9])"
    """What an assessment must be, as a whole, to be read; its first group is what it says."""

    looks_back: ClassVar[bool] = True

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        said = self._said(tables)
        return scores.table(
            [self._verdict(row, said[row["completion_id"]]) for row in scores.rows_of(tables) if row["completion_id"] in said]
        )

    def owes(self, tables: Tables) -> int:
        return len({*tables.completions["completion_id"].to_pylist()} & {*self._said(tables)})

    def _said(self, tables: Tables) -> dict[str, list[str]]:
        """Each assessed completion → what its assessments say, of those that can be read."""
        found: dict[str, list[str]] = {}
        for row in scores.rows_of(tables, "role", "parent_id"):
            if row["role"] == self.assessor and row["parent_id"] is not None:
                read = re.fullmatch(self.pattern, row["text"]) if row["finish_reason"] != "error" else None
                found.setdefault(row["parent_id"], []).extend([read[1]] if read else [])
        return found

    def _verdict(self, row: scores.Row, said: list[str]) -> scores.Row:
        if len(said) < 2:
            return scores.verdict(row, self.name, None, f"{len(said)} readable assessments")
        most, count = min(Counter(said).items(), key=lambda item: (-item[1], item[0]))
        return scores.verdict(row, self.name, count / len(said), f"{count} of {len(said)} say {most}")
