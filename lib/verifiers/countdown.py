"""Countdown in exact arithmetic; any valid solution counts and no gold answer is needed.

A problem whose `tests` hold its numbers and target is answered by one expression of all the numbers, as
`lib.verifiers.arithmetic` says: `<answer>\\boxed{(30 + 93) - 100}</answer>`. Any other is answered step by step:

Accepts `8+1=9;9*5=45` for `1,5,8>45:`. Rejects `8*5=40;40+5=45` (5 is used twice, 1 never).
Steps are `a+b=c` with + - * / joined by `;`, without spaces or leading zeros. Each operand must be a given number or an
earlier result, each used once; every result is a positive whole number. Results above 99 and division by 1 are fine
here, though the problem set makes no problem that needs them.
Does not catch a step that adds nothing on the way to the target, such as `5*1=5`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from lib import records
from lib.countdown_steps import fault, question
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.arithmetic import Puzzle, judged, puzzle
from lib.verifiers.verdicts import Judgement, of_task, verdicts_of


class Countdown(Strategy):
    """One verdict per completion of a Countdown problem; a completion that was not sampled is undecided."""

    name: ClassVar[str] = "countdown"
    knows_gold: ClassVar[bool] = True
    task: ClassVar[str] = "countdown"

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        mine = of_task(tables, self.task)
        asked = questions(tables.problems)
        columns = (mine[name].to_pylist() for name in ("problem_id", "text", "finish_reason"))
        judgements = [_judge(text, finish, asked[problem]) for problem, text, finish in zip(*columns, strict=True)]
        return verdicts_of(mine, self.name, judgements)

    def owes(self, tables: Tables) -> int:
        return of_task(tables, self.task).num_rows


def questions(problems: pa.Table) -> dict[str, tuple[tuple[int, ...], int] | None]:
    """problem_id → the numbers and the target; None where neither its `tests` nor its prompt tells them."""
    rows = problems.select(["problem_id", "prompt", "tests"]).to_pylist()
    return {
        row["problem_id"]: puzzle(row["tests"]) if row["tests"] else question("".join(m["content"] for m in records.chat(row["prompt"])))
        for row in rows
    }


def _judge(text: str, finish_reason: str, asked: tuple[tuple[int, ...], int] | None) -> Judgement:
    if isinstance(asked, Puzzle):
        return judged(text, finish_reason, asked)
    if finish_reason == "error":
        return Judgement("undecided", "not sampled")
    if asked is None:
        return Judgement("undecided", "unreadable problem")
    wrong = fault(text, *asked)
    if wrong is None:
        return Judgement("correct", "solved")
    return Judgement("wrong", "cut off by the length limit" if finish_reason == "length" else wrong)
