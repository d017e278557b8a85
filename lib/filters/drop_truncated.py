"""Leave out what the token limit cut off, so that a model does not learn to stop in mid-sentence (F.keep)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows


class DropTruncated(Strategy):
    """Drops completions that ended by the length limit: `truncated`. Does not catch one that stopped by itself too early."""

    def filter(self, rows: Rows) -> Relation:
        return rows.sql("SELECT completion_id, CASE WHEN finish_reason = 'length' THEN 'truncated' END AS reason FROM completions")
