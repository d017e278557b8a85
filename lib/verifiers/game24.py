"""The Game of 24 in exact rational arithmetic: one expression of the four given numbers that equals 24; no gold answer needed.

Accepts `Answer: (10 - 6) * (5 + 1) = 24` for 1 5 6 10. Rejects `4 * 6 = 24` there (1 and 5 are not used, 4 is not given) and
`8 / (3 - 8 / 3) = 25` only for what its left side is. The expression is the last box, what follows `Answer:`, or the last line.
Does not catch a puzzle without a solution: every answer to it is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.arithmetic import judged, puzzle
from lib.verifiers.verdicts import of_task, verdicts_of


class Game24(Strategy):
    """One verdict per completion of a Game-of-24 problem; the puzzle stands in the problem's `tests`."""

    name: ClassVar[str] = "game24"
    knows_gold: ClassVar[bool] = True
    task: ClassVar[str] = "game24"

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        mine = of_task(tables, self.task)
        rows = tables.problems.select(["problem_id", "tests"]).to_pylist()
        asked = {row["problem_id"]: puzzle(row["tests"]) for row in rows}
        columns = (mine[name].to_pylist() for name in ("problem_id", "text", "finish_reason"))
        judgements = [judged(text, finish, asked[problem]) for problem, text, finish in zip(*columns, strict=True)]
        return verdicts_of(mine, self.name, judgements)

    def owes(self, tables: Tables) -> int:
        return of_task(tables, self.task).num_rows
