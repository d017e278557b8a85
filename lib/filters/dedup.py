"""Exact duplicates within a problem (F.dedup)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows


class Dedup(Strategy):
    """Keeps, of a problem's equal completions, the one with the lowest completion_id: `duplicate` for the rest.

    Accepts "2+3=5" beside "3+2=5"; drops the second of "2+3=5" and " 2+3=5\\n". Does not catch paraphrases.
    """

    by: Literal["ids", "text"] = "text"
    """Equal by token ids, or by text with runs of white space as one space and none at the ends."""

    def filter(self, rows: Rows) -> Relation:
        key = {"ids": "completion_ids::VARCHAR", "text": r"trim(regexp_replace(text, '\s+', ' ', 'g'))"}[self.by]
        return rows.sql(
            f"""
            SELECT completion_id, CASE WHEN place > 1 THEN 'duplicate' END AS reason
            FROM (SELECT completion_id,
                    row_number() OVER (PARTITION BY problem_id, key ORDER BY completion_id) AS place
                  FROM (SELECT completion_id, problem_id, md5({key}) AS key FROM completions))
            """
        )
