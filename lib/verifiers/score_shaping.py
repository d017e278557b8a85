"""Rewards of attempts that follow each other: what a turn is worth, and what it added (SCoRe, Kumar et al. 2024).

With r_t the score of turn t by the verdicts of earlier stages (1 and 0 where they have none), the reward is

    stage 1   0 for a first attempt, r_t for what follows it
    stage 2   r_1 for a first attempt, r_t + α (r_t - r_{t-1}) for what follows

Both recalled from the paper, and so are settings. Stage 1 leaves the first attempts where they are (the trainer's divergence from
the base model does that), and teaches the second; stage 2 teaches both and pays for progress.

Accepts a correction that turns a wrong attempt right. Rejects one that turns a right attempt wrong, below one that was wrong and
stays so. Cannot catch: a first attempt that is wrong on purpose. Undecided: where the verdict of a turn, or of the one before, is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import scores


class ScoreShaping(Strategy):
    """One score per completion; no outcome."""

    name: str = "shaped"
    """The name of its verdicts."""
    stage: Literal[1, 2] = 2
    """Which of the two formulas."""
    alpha: float = Field(default=1.0, ge=0)
    """What progress counts in stage 2."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's with an outcome."""

    looks_back: ClassVar[bool] = True

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        rows = scores.rows_of(tables, "parent_id")
        rewards = self._rewards(tables)
        return scores.table([self._shaped(row, rewards) for row in rows])

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def _shaped(self, row: scores.Row, rewards: Mapping[str, float]) -> scores.Row:
        own, before = (rewards.get(name or "") for name in (row["completion_id"], row["parent_id"]))
        if own is None:
            return scores.verdict(row, self.name, None, "its verdict is undecided")
        if row["parent_id"] is not None and before is None:
            return scores.verdict(row, self.name, None, "the verdict before is undecided")
        if before is None:
            return scores.verdict(row, self.name, own if self.stage == 2 else 0.0, f"first attempt, {own:.6g}")
        value = own + self.alpha * (own - before) if self.stage == 2 else own
        return scores.verdict(row, self.name, value, f"{before:.6g}, then {own:.6g}")

    def _rewards(self, tables: Tables) -> dict[str, float]:
        """completion_id → the mean score of its decided verdicts; none where one is undecided."""
        said: dict[str, list[float | None]] = {}
        columns = ["completion_id", "verifier", "outcome", "score", "step", "rival_id"]
        for row in tables.verdicts.select(columns).to_pylist():
            whole = row["step"] is None and row["rival_id"] is None
            counts = row["outcome"] is not None if self.verifier is None else row["verifier"] == self.verifier
            if whole and counts:
                score = float(row["outcome"] == "correct") if row["score"] is None else row["score"]
                said.setdefault(row["completion_id"], []).append(None if row["outcome"] == "undecided" else score)
        decided = {name: [value for value in found if value is not None] for name, found in said.items() if None not in found}
        return {name: math.fsum(found) / len(found) for name, found in decided.items()}
