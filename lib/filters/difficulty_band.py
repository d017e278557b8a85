"""Keep problems that are neither too easy nor too hard, by pass rate or by the problem's own difficulty (K.frontier)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from lib.errors import UserError
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows

_RATED = {
    "pass_rate": "SELECT problem_id, pass_rate AS level FROM pass_rates($verifier)",
    "difficulty": "SELECT problem_id, difficulty AS level FROM problems WHERE $verifier IS NULL OR true",
}

_ABOVE = {"pass_rate": "too easy", "difficulty": "too hard"}
_BELOW = {"pass_rate": "too hard", "difficulty": "too easy"}


class DifficultyBand(Strategy):
    """Keeps the completions of problems whose pass rate, or difficulty, is in a band.

    As it stands it keeps 0 < pass rate < 1, which is what DAPO (Yu et al. 2025) and NFT (Chen et al. 2025) sample for;
    low=0.3, high=0.8, ends="kept" is Agent0's. The rate is a problem's share of correct among all its decided completions,
    those that earlier filters dropped too. Reasons: `too easy`, `too hard`, `no pass rate` (none decided), `no difficulty`.
    """

    by: Literal["pass_rate", "difficulty"] = "pass_rate"
    """What is measured; a low pass rate is hard, a low difficulty easy."""
    low: float = 0.0
    """The lower end of the band."""
    high: float = 1.0
    """The upper end of the band."""
    ends: Literal["kept", "dropped"] = "dropped"
    """Whether a problem exactly at an end stays."""
    verifier: str | None = None
    """Whose verdicts make the pass rate; None: every verifier's with an outcome."""

    @model_validator(mode="after")
    def _is_a_band(self) -> DifficultyBand:
        if self.low > self.high:
            raise UserError(f"DifficultyBand: low {self.low} is above high {self.high}; exchange them")
        return self

    def filter(self, rows: Rows) -> Relation:
        outside = "" if self.ends == "kept" else "="
        return rows.sql(
            f"""
            SELECT completion_id, CASE WHEN level IS NULL THEN 'no {self.by.replace("_", " ")}'
                WHEN level <{outside} $low THEN '{_BELOW[self.by]}' WHEN level >{outside} $high THEN '{_ABOVE[self.by]}' END AS reason
            FROM (SELECT completion_id, problem_id FROM completions) LEFT JOIN ({_RATED[self.by]}) USING (problem_id)
            """,
            low=self.low,
            high=self.high,
            verifier=rows.known_verifier(self.verifier),
        )
