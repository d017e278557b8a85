"""Proposals of new problems: what a model writes when it is shown a problem and asked for another (S.iid with out=problems).

A proposal is a completion of the problem that was shown, its context; it becomes a problem in a filter stage that ends in
BornProblems.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from pydantic import Field

from lib import records
from lib.protocols import Engine, Report, Tables
from lib.samplers.rows import Ask, sampled
from lib.samplers.templates import filled
from lib.strategy import Strategy

TEMPLATE = (
    "Here is a problem:\n\n{prompt}\n\nWrite another one of its kind, as hard as it can be and still be solved. Write the problem alone."
)


class Propose(Strategy):
    """n proposals for each problem that is shown."""

    n: int = Field(default=4, ge=1)
    """Proposals for each context problem."""
    contexts: int | None = Field(default=None, ge=1)
    """How many problems of a shard are shown, the first by their ids; all unless given."""
    temperature: float = Field(default=1.0, ge=0)
    """0 is greedy, and then all n are alike."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """The probability mass of the likeliest tokens that may be drawn; 1 leaves none out."""
    max_new_tokens: int = Field(default=24, ge=1)
    """Where a proposal is cut off; the end-of-text token counts."""
    role: str = "proposer"
    """Whose model proposes."""
    model: str = "previous"
    """Its checkpoint: previous, latest, base, champion, round:N, phase:NAME or external:PATH."""
    template: str = TEMPLATE
    """What is asked, as one message of the user; {prompt} is the last message of the context problem."""

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        rows = sorted(tables.problems.select(["problem_id", "prompt"]).to_pylist(), key=lambda row: str(row["problem_id"]))
        asks = []
        for row in rows[: self.contexts]:
            content = filled(self.template, {"prompt": records.chat(row["prompt"])[-1]["content"]})
            asks.append(Ask(row["problem_id"], [{"role": "user", "content": content}], stream=("propose",)))
        return sampled(asks, tables, engines, self, seed, report, model=self.model)

    def owes(self, tables: Tables) -> int:
        return min(tables.problems.num_rows, self.contexts or tables.problems.num_rows) * self.n
