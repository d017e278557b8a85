"""Keep the turns that are better than those before them (RISE's criteria; Qu et al. 2024, by its code).

With r_t the score of turn t and the turns before it those that it follows, one after the other:

    all   every decided turn     better   r_t > r_{t-1}     best   r_t ≥ max_{j<t} r_j     success   r_t = 1
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows

MOST_TURNS = 64
"""How many turns back are looked at, so that rows which are each other's parents come to an end."""

_BEFORE = f"""
WITH RECURSIVE family AS (SELECT completion_id, parent_id FROM all_completions),
line AS (
    SELECT completion_id, parent_id AS earlier, 1 AS back FROM family WHERE parent_id IS NOT NULL
    UNION ALL
    SELECT line.completion_id, family.parent_id, back + 1 FROM line JOIN family ON family.completion_id = line.earlier
    WHERE family.parent_id IS NOT NULL AND back < {MOST_TURNS})
SELECT line.completion_id, count(*) AS turns, max(score) AS highest, arg_min(score, back) AS last
FROM line JOIN said($verifier) AS s ON s.completion_id = line.earlier AND s.outcome <> 'undecided' GROUP BY line.completion_id
"""

_SAID = """
SELECT completion_id, CASE
    WHEN outcome IN ('undecided', 'no verdict') THEN outcome
    WHEN $criterion = 'success' AND score < 1 THEN 'no success'
    WHEN turns IS NULL THEN CASE WHEN $first THEN NULL ELSE 'first attempt' END
    WHEN $criterion = 'better' AND NOT score > last THEN 'no better'
    WHEN $criterion = 'best' AND score < highest THEN 'not the best' END AS reason
FROM judged($verifier) LEFT JOIN before USING (completion_id)
"""


class Improved(Strategy):
    """Keeps a turn by its score beside those of the turns that it follows, as above.

    Reasons: `undecided`, `no verdict`, `no better`, `not the best`, `no success`, `first attempt`. A turn before without a decided
    verdict is passed over.
    """

    criterion: Literal["all", "better", "best", "success"] = "better"
    """Which turns stay."""
    first: bool = True
    """Whether first attempts, which follow none, stay where they are not held to success."""
    verifier: str | None = None
    """Whose scores count, a scorer's too; None: every verifier's with an outcome."""

    def filter(self, rows: Rows) -> Relation:
        verifier = rows.known_verifier(self.verifier)
        rows.hold("before", _BEFORE, verifier=verifier)
        return rows.sql(_SAID, criterion=self.criterion, first=self.first, verifier=verifier)
