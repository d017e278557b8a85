"""Reward-weighted regression: SFT rows that count by their reward (F.weight; Peters and Schaal 2007).

    w = exp(r / τ)

with r the score of a completion. RISE (Qu et al. 2024) takes τ = 0.4 and does not normalise, nor is it done here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lib.errors import UserError
from lib.filters.sft_rows import SftRows
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

_SCORED = "SELECT completion_id, outcome, score FROM judged($verifier)"


class ExpWeights(Strategy):
    """One example per standing completion with a score, as SftRows makes it, with the weight above.

    Reasons: `undecided`, `no verdict`. A wrong completion is learned too, with weight 1 where its score is 0; put KeepCorrect
    before it if that is not wanted.
    """

    makes: ClassVar[str] = "sft"

    tau: float = Field(0.4, gt=0)
    """The temperature: the smaller, the more the best count."""
    prompt: Literal["own", "parent"] = "own"
    """Whose prompt a completion is learned after; see SftRows."""
    verifier: str | None = None
    """Whose scores count, a scorer's too; None: every verifier's with an outcome."""

    def build(self, rows: Rows) -> Built:
        rows.hold("scored", _SCORED, verifier=rows.known_verifier(self.verifier))
        highest = rows.sql("SELECT max(score) FROM scored").fetchall()[0][0]
        if highest is not None and highest / self.tau > math.log(1e30):
            raise UserError(f"ExpWeights: a score of {highest} at tau={self.tau} gives a weight above 1e30; set a larger tau")
        unweighted = SftRows(prompt=self.prompt).build(rows)
        rows.hold_relation("unweighted_sources", unweighted.sources)
        unweighted.examples.create_view("unweighted")
        rows.hold(
            "weights",
            """
            SELECT example_id, exp(score / $tau) AS weight FROM unweighted_sources JOIN scored USING (completion_id)
            WHERE part = 'whole' AND outcome NOT IN ('undecided', 'no verdict')
            """,
            tau=self.tau,
        )
        examples = rows.sql("SELECT u.* REPLACE (w.weight AS weight) FROM unweighted AS u JOIN weights AS w USING (example_id)")
        sources = rows.sql("SELECT * FROM unweighted_sources SEMI JOIN weights USING (example_id)")
        dropped = rows.sql("SELECT completion_id, outcome AS reason FROM scored WHERE outcome IN ('undecided', 'no verdict')")
        return Built(examples, sources, dropped)
