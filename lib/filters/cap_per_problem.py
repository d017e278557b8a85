"""At most n completions of a problem, so that easy problems do not crowd out hard ones (F.top without a score)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows


class CapPerProblem(Strategy):
    """Keeps n completions per problem, drawn by md5 of the seed and the completion's id: `over the cap` for the rest.

    The draw does not look at what other problems have, so a problem's survivors stay when others are added.
    """

    n: int = Field(4, ge=1)
    """How many may stay."""

    def filter(self, rows: Rows) -> Relation:
        return rows.sql(
            """
            SELECT completion_id, CASE WHEN place > $n THEN 'over the cap' END AS reason
            FROM (SELECT completion_id,
                    row_number() OVER (PARTITION BY problem_id ORDER BY draw(completion_id), completion_id) AS place
                  FROM completions)
            """,
            n=self.n,
        )
