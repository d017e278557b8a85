"""Independent completions of each problem: the tempered law p_T(v) = exp(z_v/T) / Σ exp(z_u/T), cut to the nucleus top_p."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from lib import records
from lib.protocols import Engine, Report, Tables
from lib.samplers.rows import Ask, sampled
from lib.strategy import Strategy


class Independent(Strategy):
    """n completions a problem, none of which sees another."""

    adds: ClassVar[tuple[str, ...]] = ("n", "max_new_tokens")

    n: int = Field(default=8, ge=1)
    """Completions of each problem."""
    temperature: float = Field(default=1.0, ge=0)
    """0 is greedy, and then all n are alike."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """The probability mass of the likeliest tokens that may be drawn; 1 leaves none out."""
    max_new_tokens: int = Field(default=24, ge=1)
    """Where a completion is cut off; the end-of-text token counts."""
    role: str = "policy"
    """Whose model answers."""
    model: str = "previous"
    """Its checkpoint: previous, base, champion, round:N, phase:NAME or external:PATH."""
    written_as: str = ""
    """The role that the completions are written as, by which pairs tell sources apart; unless given, the role that answers."""

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        problems = tables.problems.select(["problem_id", "prompt"]).to_pylist()
        asks = [Ask(problem["problem_id"], records.chat(problem["prompt"])) for problem in problems]
        return sampled(asks, tables, engines, self, seed, report, model=self.model, written_as=self.written_as)

    def owes(self, tables: Tables) -> int:
        return tables.problems.num_rows * self.n
