"""Preference pairs of a refined completion against the one that it refines (F.pair; SPaR, Cheng et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lib.filters.pairing import UNPAIRED, built, hold_pairs
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

_TOLD = """
SELECT completion_id, problem_id, parent_id, outcome, score FROM completions JOIN judged($verifier) USING (completion_id)
"""

_FAMILIES = """
SELECT r.problem_id, r.completion_id AS chosen, o.completion_id AS rejected, r.score AS chosen_score, o.score AS rejected_score,
    CASE WHEN r.outcome NOT IN ('correct', 'wrong', 'scored') THEN r.outcome
         WHEN o.outcome NOT IN ('correct', 'wrong', 'scored') THEN 'original ' || o.outcome
         WHEN NOT (r.score > o.score AND r.score - o.score >= $min_margin) THEN 'no better'
         WHEN $turned AND NOT (r.outcome = 'correct' AND o.outcome = 'wrong') THEN 'not turned right' END AS reason
FROM told AS r JOIN told AS o ON o.completion_id = r.parent_id
"""

_DROPPED = f"""
SELECT completion_id, coalesce(f.reason, CASE WHEN parent_id IS NULL THEN 'not refined' ELSE 'no original' END) AS reason
FROM told LEFT JOIN (SELECT chosen AS completion_id, reason FROM families) AS f USING (completion_id) {UNPAIRED}
"""


class RefinedPairs(Strategy):
    """Pairs a completion (chosen) with its parent (rejected), which it refines, if its score is higher.

    Both sides are learned after the original's prompt, since what a refiner was shown is not there when a model first
    answers. Reasons: `undecided` and `no verdict`, the same after `original`, `no better` (by the margin), `not turned
    right`, `no original` (its parent was dropped or not given), `not refined` (an original that is in no pair).
    """

    makes: ClassVar[str] = "pair"

    min_margin: float = 0.0
    """The refined score must exceed the original by at least this, and in any case exceed it."""
    turned: bool = True
    """Whether the original must be wrong and the refined completion correct; without, a better score is enough."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's with an outcome."""

    def build(self, rows: Rows) -> Built:
        rows.hold("told", _TOLD, verifier=rows.known_verifier(self.verifier))
        rows.hold("families", _FAMILIES, min_margin=self.min_margin, turned=self.turned)
        hold_pairs(rows, "SELECT * EXCLUDE (reason) FROM families WHERE reason IS NULL")
        return built(rows, "refined", rows.sql(_DROPPED), asked="rejected")
