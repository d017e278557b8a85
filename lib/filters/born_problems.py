"""Problems out of proposals: what a proposer wrote, read as a problem of the built-in set (out=problems of S.iid; Agent0, R-Zero).

A proposal `1,5,8>45` becomes the problem `1,5,8>45:`, its numbers sorted, with source `proposed`, the proposals that it stands
in as parents, the problems that these were shown as context, and no answer. It is kept only if it has a solution, which the
papers cannot know; they leave it to the pass rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pydantic import Field

from lib import records, seeds
from lib.countdown_roles import Bounds, Proposal, read_proposal
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

TASK = "countdown"

_READ = pa.schema([("completion_id", pa.string()), ("fault", pa.string()), ("born_id", pa.string()), *records.PROBLEMS.schema])

_PLACED = """
WITH ranked AS (
    SELECT *, row_number() OVER (PARTITION BY born_id ORDER BY draw(completion_id), completion_id) AS place FROM proposals)
SELECT r.completion_id, r.born_id, c.problem_id AS context_id,
    coalesce(fault, CASE WHEN born_id IN (SELECT problem_id FROM held_out) THEN 'held out'
                         WHEN born_id IN (SELECT problem_id FROM problems) THEN 'given already'
                         WHEN place > 1 THEN 'duplicate' END) AS reason
FROM ranked AS r JOIN completions AS c USING (completion_id)
"""

_BORN = """
SELECT p.* EXCLUDE (completion_id, fault, born_id) REPLACE (parents AS parent_ids, contexts AS context_ids, $round::INTEGER AS born_round)
FROM proposals AS p JOIN placed USING (completion_id)
JOIN (SELECT born_id, list(completion_id ORDER BY completion_id) AS parents, list(DISTINCT context_id ORDER BY context_id) AS contexts
      FROM placed WHERE born_id IS NOT NULL GROUP BY born_id) AS family ON family.born_id = placed.born_id
WHERE reason IS NULL
"""


class BornProblems(Strategy):
    """One problem for each different proposal that can be read and has a solution.

    Reasons: what is wrong with a proposal, such as `not of the form a,b,c>t` or `no solution`; `cut off` by the length limit;
    `held out` and `given already`, by the id of the problem; `duplicate`, where another proposal of the stage brought it.
    """

    makes: ClassVar[str] = "problems"

    numbers: int = Field(default=3, ge=2, le=5)
    """How many numbers a problem must have."""
    largest: int = Field(default=20, ge=2, le=99)
    """The largest number."""
    target_low: int = Field(default=10, ge=1)
    """The smallest target."""
    target_high: int = Field(default=99, le=9999)
    """The largest target."""

    def build(self, rows: Rows) -> Built:
        rows.hold_made("proposals", "SELECT completion_id, text, finish_reason FROM completions ORDER BY completion_id", self._read)
        rows.hold("placed", _PLACED)
        sources = rows.sql("SELECT born_id AS example_id, completion_id, 'born' AS part FROM placed WHERE reason IS NULL")
        dropped = rows.sql("SELECT completion_id, reason FROM placed WHERE reason IS NOT NULL")
        return Built(rows.sql(_BORN, round=rows.round), sources, dropped)

    def _read(self, batch: pa.RecordBatch) -> pa.Table:
        return pa.Table.from_pylist([self._proposed(row) for row in batch.to_pylist()], schema=_READ)

    def _proposed(self, row: dict[str, Any]) -> dict[str, Any]:
        bounds = Bounds(self.numbers, self.largest, self.target_low, self.target_high)
        read = "cut off" if row["finish_reason"] == "length" else read_proposal(row["text"], bounds)
        if not isinstance(read, Proposal):
            return {"completion_id": row["completion_id"], "fault": read}
        problem_id = seeds.short_id(TASK, read.numbers, read.target)
        return {
            "completion_id": row["completion_id"],
            "born_id": problem_id,
            "problem_id": problem_id,
            "task": TASK,
            "prompt": records.user_message(read.prompt),
            "category": f"{self.numbers} numbers",
            "difficulty": float(self.numbers),
            "source": "proposed",
            "born_round": 0,
        }
