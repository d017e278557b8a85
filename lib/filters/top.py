"""The best n of a problem's completions by score: best-of-n, and caps that look at quality (F.top)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows


class Top(Strategy):
    """Keeps n per problem, the highest scores first, ties by the seed: `below the top` for the rest.

    `undecided` and `no verdict` fall first and take no place. CapPerProblem is the same without a score.
    """

    n: int = Field(1, ge=1)
    """How many may stay."""
    per: Literal["problem", "group"] = "problem"
    """Whether a problem's completions compete, or only those sampled together as a group."""
    verifier: str | None = None
    """Whose scores count, a scorer's too; None: every verifier's with an outcome."""

    def filter(self, rows: Rows) -> Relation:
        return rows.sql(
            f"""
            SELECT completion_id, CASE WHEN NOT scored THEN outcome WHEN place > $n THEN 'below the top' END AS reason
            FROM (SELECT completion_id, outcome, scored,
                    row_number() OVER (PARTITION BY {self.per}_id, scored ORDER BY score DESC, draw(completion_id), completion_id) AS place
                  FROM (SELECT completion_id, outcome, score, {self.per}_id, outcome NOT IN ('undecided', 'no verdict') AS scored
                        FROM completions JOIN judged($verifier) USING (completion_id)))
            """,
            n=self.n,
            verifier=rows.known_verifier(self.verifier),
        )
