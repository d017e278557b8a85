"""Preference pairs of correct against wrong completions of a problem, up to n of them (F.pair, correct × wrong)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lib.filters.pairing import UNPAIRED, built, hold_pairs
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

_DRAWN = """
SELECT completion_id, problem_id, md5(prompt_ids::VARCHAR) AS asked, outcome, score,
    row_number() OVER (PARTITION BY problem_id, asked, outcome ORDER BY draw(completion_id), completion_id) AS place,
    count(*) FILTER (outcome = 'correct') OVER (PARTITION BY problem_id, asked) AS right_ones,
    count(*) FILTER (outcome = 'wrong') OVER (PARTITION BY problem_id, asked) AS wrong_ones
FROM completions JOIN judged($verifier) USING (completion_id)
"""

# Both sides go round, and after lcm(R, W) pairs, when they would meet again, one of them by one place further: so all R * W
# pairs come, and at any moment each completion of a side has come as often as the others, or once more.
_PAIRED = """
WITH counted AS (
    SELECT DISTINCT problem_id, asked, right_ones, wrong_ones FROM drawn WHERE right_ones > 0 AND wrong_ones > 0),
turns AS (SELECT *, unnest(range(right_ones * wrong_ones)) AS turn FROM counted),
met AS (
    SELECT *, turn % right_ones + 1 AS right_place, (turn + turn // lcm(right_ones, wrong_ones)) % wrong_ones + 1 AS wrong_place
    FROM turns)
SELECT problem_id, chosen, rejected, chosen_score, rejected_score FROM (
    SELECT met.problem_id, r.completion_id AS chosen, w.completion_id AS rejected, r.score AS chosen_score, w.score AS rejected_score,
        row_number() OVER (PARTITION BY met.problem_id, met.asked ORDER BY turn) AS number
    FROM met
    JOIN (FROM drawn WHERE outcome = 'correct') AS r ON (r.problem_id, r.asked, r.place) = (met.problem_id, met.asked, right_place)
    JOIN (FROM drawn WHERE outcome = 'wrong') AS w ON (w.problem_id, w.asked, w.place) = (met.problem_id, met.asked, wrong_place)
    WHERE r.score - w.score >= $min_margin)
WHERE number <= $n
"""

_DROPPED = f"""
SELECT completion_id, CASE
    WHEN outcome NOT IN ('correct', 'wrong') THEN outcome
    WHEN right_ones = 0 OR wrong_ones = 0 THEN 'no rival'
    ELSE 'not chosen' END AS reason
FROM drawn {UNPAIRED}
"""


class CorrectWrongPairs(Strategy):
    """Pairs correct with wrong completions of a problem, drawn by the seed; one may be in several pairs, as few as can be.

    Both sides answer the same prompt token for token. Reasons: `undecided`, `no verdict`, `scored` (a scorer was named,
    which says neither), `no rival` (all correct or all wrong), `not chosen` (beyond n, or under the margin).
    """

    makes: ClassVar[str] = "pair"

    n: int = Field(4, ge=1)
    """Pairs of a problem's prompt."""
    min_margin: float = 0.0
    """The chosen score must exceed the rejected by at least this."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's with an outcome."""

    def build(self, rows: Rows) -> Built:
        rows.hold("drawn", _DRAWN, verifier=rows.known_verifier(self.verifier))
        hold_pairs(rows, _PAIRED, n=self.n, min_margin=self.min_margin)
        return built(rows, "correct_wrong", rows.sql(_DROPPED))
