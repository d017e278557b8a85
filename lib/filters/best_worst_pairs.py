"""Preference pairs of the best against the worst completion of a problem (F.pair, maxmin)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lib.filters.pairing import UNPAIRED, built, hold_pairs
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

# A scorer's completions have no outcome: the upper half stands against the lower, the middle one of an odd number aside.
_RANKED = """
WITH told AS (
    SELECT completion_id, problem_id, md5(prompt_ids::VARCHAR) AS asked, outcome, score
    FROM completions JOIN judged($verifier) USING (completion_id)),
sided AS (
    SELECT *, CASE WHEN outcome <> 'scored' THEN outcome
        WHEN 2 * row_number() OVER best <= count(*) OVER (PARTITION BY problem_id, asked, outcome) THEN 'correct'
        ELSE 'wrong' END AS side
    FROM told WINDOW best AS (PARTITION BY problem_id, asked, outcome ORDER BY score DESC, draw(completion_id), completion_id)),
counted AS (
    SELECT *, row_number() OVER (PARTITION BY problem_id, asked, side
            ORDER BY CASE WHEN side = 'correct' THEN -score ELSE score END, draw(completion_id), completion_id) AS place,
        count(*) FILTER (side = 'correct') OVER (PARTITION BY problem_id, asked) AS right_ones,
        count(*) FILTER (side = 'wrong') OVER (PARTITION BY problem_id, asked) AS wrong_ones
    FROM sided)
SELECT * FROM counted
"""

_PAIRED = """
SELECT r.problem_id, r.completion_id AS chosen, w.completion_id AS rejected, r.score AS chosen_score, w.score AS rejected_score
FROM ranked AS r JOIN ranked AS w USING (problem_id, asked, place)
WHERE r.side = 'correct' AND w.side = 'wrong' AND place <= $max_pairs AND r.score - w.score >= $min_margin
    AND (r.outcome <> 'scored' OR r.score > w.score)
"""

_DROPPED = f"""
SELECT completion_id, CASE
    WHEN side NOT IN ('correct', 'wrong') THEN outcome
    WHEN right_ones = 0 OR wrong_ones = 0 THEN 'no rival'
    ELSE 'not chosen' END AS reason
FROM ranked {UNPAIRED}
"""


class BestWorstPairs(Strategy):
    """Pairs a problem's i-th highest scored correct completion with its i-th lowest scored wrong one; ties by the seed.

    With a scorer named as the verifier, the i-th highest with the i-th lowest score, if it is higher. Both sides answer the
    same prompt token for token, as preference losses assume. Reasons: `undecided`, `no verdict`, `no rival` (all correct or
    all wrong, or alone), `not chosen` (beyond max_pairs, under the margin, or of equal score).
    """

    makes: ClassVar[str] = "pair"

    max_pairs: int = Field(1, ge=1)
    """Pairs of a problem's prompt; no completion is in two."""
    min_margin: float = 0.0
    """The chosen score must exceed the rejected by at least this."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's with an outcome."""

    def build(self, rows: Rows) -> Built:
        rows.hold("ranked", _RANKED, verifier=rows.known_verifier(self.verifier))
        hold_pairs(rows, _PAIRED, max_pairs=self.max_pairs, min_margin=self.min_margin)
        return built(rows, "best_worst", rows.sql(_DROPPED))
