"""The same number of completions of each category, or of each problem (F.top, quotas)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows


class Balance(Strategy):
    """Keeps an equal quota of each category: `over the quota` for the rest.

    Within a category its problems take turns, in the order of a draw by the seed, so that no problem fills the quota while
    another waits. Problems without a category, and completions whose problem was not given, make one category together.
    """

    by: Literal["category", "problem"] = "category"
    """What gets the quota."""
    quota: int | None = Field(None, ge=1)
    """How many may stay of each; None: as many as the one with the fewest has."""

    def filter(self, rows: Rows) -> Relation:
        kind = {"category": "coalesce(p.category, '')", "problem": "c.problem_id"}[self.by]
        return rows.sql(
            f"""
            WITH sorted AS (
                SELECT c.completion_id, {kind} AS kind,
                    row_number() OVER (PARTITION BY c.problem_id ORDER BY draw(c.completion_id), c.completion_id) AS turn
                FROM (SELECT completion_id, problem_id FROM completions) AS c
                LEFT JOIN (SELECT problem_id, category FROM problems) AS p USING (problem_id)),
            placed AS (
                SELECT completion_id, row_number() OVER (PARTITION BY kind ORDER BY turn, draw(completion_id), completion_id) AS place
                FROM sorted),
            fewest AS (SELECT min(n) AS n FROM (SELECT count(*) AS n FROM sorted GROUP BY kind))
            SELECT completion_id, CASE WHEN place > coalesce($quota, n) THEN 'over the quota' END AS reason FROM placed, fewest
            """,
            quota=self.quota,
        )
