"""A control for filters: as many completions of a problem as one that keeps correct ones would keep, drawn whatever they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows


class RandomShare(Strategy):
    """Keeps of each problem as many completions as it has distinct correct ones, drawn by the seed: `not drawn` for the rest.

    Behind Dedup, what is learned differs from what KeepCorrect, Dedup and CapPerProblem leave in one thing, whether it is right;
    without it, equal texts may be drawn too. Which completions are right says how many are kept of a problem, never which.
    """

    most: int | None = Field(4, ge=1)
    """The most of a problem, as CapPerProblem has it; None for any number."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's with an outcome."""

    def filter(self, rows: Rows) -> Relation:
        rows.hold(
            "_right",
            r"""
            SELECT problem_id, count(DISTINCT trim(regexp_replace(text, '\s+', ' ', 'g'))) AS n
            FROM completions JOIN judged($verifier) USING (completion_id) WHERE outcome = 'correct' GROUP BY problem_id
            """,
            verifier=rows.known_verifier(self.verifier),
        )
        return rows.sql(
            """
            SELECT completion_id, CASE WHEN place > least(coalesce(n, 0), $most) THEN 'not drawn' END AS reason
            FROM (SELECT completion_id, problem_id,
                      row_number() OVER (PARTITION BY problem_id ORDER BY draw(completion_id), completion_id) AS place FROM completions)
            LEFT JOIN _right USING (problem_id)
            """,
            most=2**62 if self.most is None else self.most,
        )
