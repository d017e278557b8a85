"""Preference pairs across sources: the best completion of some against the worst of others (F.pair; Temporal-SR)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from lib.errors import UserError
from lib.filters.pairing import UNPAIRED, built, hold_pairs
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

_TOLD = """
WITH sided AS (
    SELECT completion_id, problem_id, md5(prompt_ids::VARCHAR) AS asked, score,
        CASE WHEN list_contains($chosen, role) THEN 'chosen' WHEN list_contains($rejected, role) THEN 'rejected' END AS side,
        CASE WHEN outcome NOT IN ('correct', 'wrong', 'scored') THEN outcome END AS reason
    FROM completions JOIN judged($verifier) USING (completion_id))
SELECT *, row_number() OVER (PARTITION BY problem_id, asked, side, reason
        ORDER BY CASE side WHEN 'chosen' THEN -score ELSE score END, draw(completion_id), completion_id) AS place,
    count(*) FILTER (side = 'chosen' AND reason IS NULL) OVER (PARTITION BY problem_id, asked) AS chosen_ones,
    count(*) FILTER (side = 'rejected' AND reason IS NULL) OVER (PARTITION BY problem_id, asked) AS rejected_ones
FROM sided
"""

_PAIRED = """
SELECT r.problem_id, r.completion_id AS chosen, w.completion_id AS rejected, r.score AS chosen_score, w.score AS rejected_score
FROM told AS r JOIN told AS w USING (problem_id, asked, place)
WHERE r.side = 'chosen' AND w.side = 'rejected' AND r.reason IS NULL AND w.reason IS NULL AND place = 1
    AND r.score > w.score AND r.score - w.score >= $min_margin
"""

_DROPPED = f"""
SELECT completion_id, CASE
    WHEN side IS NULL THEN 'another source'
    WHEN reason IS NOT NULL THEN reason
    WHEN chosen_ones = 0 OR rejected_ones = 0 THEN 'no rival'
    ELSE 'not chosen' END AS reason
FROM told {UNPAIRED}
"""


class SourcedPairs(Strategy):
    """Pairs a problem's highest scored completion of some sources with its lowest scored of others; ties by the seed.

    A source is the role that a sampler wrote its completions as (`written_as`). A pair needs a higher score on the chosen
    side, and both sides answer the same prompt token for token. Reasons: `another source`, `undecided`, `no verdict`, `no
    rival` (none on the other side), `not chosen` (neither the best nor the worst, or not higher by the margin).
    """

    makes: ClassVar[str] = "pair"

    chosen_from: tuple[str, ...] = Field(min_length=1)
    """The roles of completions that may be chosen."""
    rejected_from: tuple[str, ...] = Field(min_length=1)
    """The roles of completions that may be rejected; none of those above."""
    min_margin: float = 0.0
    """The chosen score must exceed the rejected by at least this, and in any case exceed it."""
    verifier: str | None = None
    """Whose verdicts count, which may be a scorer; None: every verifier's with an outcome."""

    @model_validator(mode="after")
    def _sides_differ(self) -> SourcedPairs:
        if both := sorted({*self.chosen_from} & {*self.rejected_from}):
            raise UserError(f"SourcedPairs: '{both[0]}' is both in chosen_from and in rejected_from; leave it in one of them")
        return self

    def build(self, rows: Rows) -> Built:
        sides = {"chosen": list(self.chosen_from), "rejected": list(self.rejected_from)}
        rows.hold("told", _TOLD, verifier=rows.known_verifier(self.verifier), **sides)
        hold_pairs(rows, _PAIRED, min_margin=self.min_margin)
        return built(rows, "sourced", rows.sql(_DROPPED))
