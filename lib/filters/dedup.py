"""Exact duplicates, within a problem or in the whole table (F.dedup)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows

_KEYS = {
    "ids": "completion_ids::VARCHAR",
    "text": r"trim(regexp_replace(text, '\s+', ' ', 'g'))",
    "plain": "plain(text)",
    "words": "array_to_string(words(text), ' ')",
}


class Dedup(Strategy):
    """Keeps, of equal completions, the one with the lowest completion_id: `duplicate` for the rest.

    Accepts "2+3=5" beside "3+2=5"; drops the second of "2+3=5" and " 2+3=5\\n". Does not catch paraphrases; NearDedup and
    MinhashDedup catch near copies.
    """

    by: Literal["ids", "text", "plain", "words"] = "text"
    """Equal by token ids; by text with runs of white space as one space and none at the ends; by plain text, where case,
    Unicode form and space around punctuation do not count either; or by words alone, where "2+3" equals "2-3"."""
    across: Literal["problem", "table"] = "problem"
    """Whether completions of one problem are compared, or all."""

    def filter(self, rows: Rows) -> Relation:
        scope = "problem_id, key" if self.across == "problem" else "key"
        return rows.sql(
            f"""
            SELECT completion_id, CASE WHEN place > 1 THEN 'duplicate' END AS reason
            FROM (SELECT completion_id, row_number() OVER (PARTITION BY {scope} ORDER BY completion_id) AS place
                  FROM (SELECT completion_id, problem_id, md5({_KEYS[self.by]}) AS key FROM completions))
            """
        )
