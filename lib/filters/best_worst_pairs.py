"""Preference pairs of the best correct against the worst wrong completion of a problem (F.pair, maxmin)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

_RANKED = """
WITH told AS (
    SELECT completion_id, problem_id, md5(prompt_ids::VARCHAR) AS asked, outcome, score
    FROM completions JOIN judged($verifier) USING (completion_id)),
counted AS (
    SELECT *, row_number() OVER (PARTITION BY problem_id, asked, outcome
            ORDER BY CASE WHEN outcome = 'correct' THEN -score ELSE score END, draw(completion_id), completion_id) AS place,
        count(*) FILTER (outcome = 'correct') OVER (PARTITION BY problem_id, asked) AS right_ones,
        count(*) FILTER (outcome = 'wrong') OVER (PARTITION BY problem_id, asked) AS wrong_ones
    FROM told)
SELECT * FROM counted
"""

_PAIRED = """
SELECT r.problem_id, r.completion_id AS chosen, w.completion_id AS rejected, r.score AS chosen_score, w.score AS rejected_score,
    left(sha256(concat_ws('|', 'pair', r.completion_id, w.completion_id)), 32) AS example_id
FROM ranked AS r JOIN ranked AS w USING (problem_id, asked, place)
WHERE r.outcome = 'correct' AND w.outcome = 'wrong' AND place <= $max_pairs AND r.score - w.score >= $min_margin
"""

_EXAMPLES = """
SELECT example_id, p.problem_id, chosen_score, rejected_score, 'best_worst' AS strategy, 1.0::DOUBLE AS weight,
    sequence(r.prompt_ids, r.completion_ids) AS chosen_input_ids,
    labels(r.prompt_ids, r.completion_ids, r.loss_mask) AS chosen_labels,
    sequence(w.prompt_ids, w.completion_ids) AS rejected_input_ids,
    labels(w.prompt_ids, w.completion_ids, w.loss_mask) AS rejected_labels
FROM pairs AS p
JOIN all_completions AS r ON r.completion_id = chosen
JOIN all_completions AS w ON w.completion_id = rejected
"""

_DROPPED = """
SELECT completion_id, CASE
    WHEN outcome NOT IN ('correct', 'wrong') THEN outcome
    WHEN right_ones = 0 OR wrong_ones = 0 THEN 'no rival'
    ELSE 'not chosen' END AS reason
FROM ranked ANTI JOIN (SELECT chosen AS completion_id FROM pairs UNION ALL SELECT rejected FROM pairs) USING (completion_id)
"""


class BestWorstPairs(Strategy):
    """Pairs a problem's i-th highest scored correct completion with its i-th lowest scored wrong one; ties by the seed.

    Both sides answer the same prompt token for token, as preference losses assume. Reasons: `undecided`, `no verdict`,
    `no rival` (all correct or all wrong), `not chosen` (beyond max_pairs or under the margin).
    """

    makes: ClassVar[str] = "pair"

    max_pairs: int = Field(1, ge=1)
    """Pairs of a problem's prompt; no completion is in two."""
    min_margin: float = 0.0
    """The chosen score must exceed the rejected by at least this."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's."""

    def build(self, rows: Rows) -> Built:
        rows.hold("ranked", _RANKED, verifier=rows.known_verifier(self.verifier))
        rows.hold("pairs", _PAIRED, max_pairs=self.max_pairs, min_margin=self.min_margin)
        sources = rows.sql(
            """
            SELECT example_id, chosen AS completion_id, 'chosen' AS part FROM pairs
            UNION ALL SELECT example_id, rejected, 'rejected' FROM pairs
            """
        )
        return Built(rows.sql(_EXAMPLES), sources, rows.sql(_DROPPED))
