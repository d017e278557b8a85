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

import re
from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from lib import records
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.arithmetic import Puzzle, judged, puzzle
from lib.verifiers.verdicts import Judgement, of_task, verdicts_of

LONGEST = 400
"""Characters of a completion that are read; a longer one is wrong."""

_NUMBER = r"(?:0|[1-9][0-9]{0,11})"
_STEP = re.compile(rf"({_NUMBER})([-+*/])({_NUMBER})=({_NUMBER})")
_STEPS = re.compile(rf"{_STEP.pattern}(?:;{_STEP.pattern})*")
_PROMPT = re.compile(r"([1-9][0-9]{0,3}(?:,[1-9][0-9]{0,3}){1,9})>([1-9][0-9]{0,5}):")


class Countdown(Strategy):
    """One verdict per completion of a Countdown problem; a completion that was not sampled is undecided."""

    name: ClassVar[str] = "countdown"
    knows_gold: ClassVar[bool] = True
    task: ClassVar[str] = "countdown"

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        mine = of_task(tables, self.task)
        asked = _questions(tables.problems)
        columns = (mine[name].to_pylist() for name in ("problem_id", "text", "finish_reason"))
        judgements = [_judge(text, finish, asked[problem]) for problem, text, finish in zip(*columns, strict=True)]
        return verdicts_of(mine, self.name, judgements)

    def owes(self, tables: Tables) -> int:
        return of_task(tables, self.task).num_rows


def question(prompt: str) -> tuple[tuple[int, ...], int] | None:
    """The numbers and the target of `1,5,8>45:`, or None where the prompt is not of that form."""
    match = _PROMPT.fullmatch(prompt)
    return (tuple(map(int, match[1].split(","))), int(match[2])) if match else None


def fault(text: str, numbers: tuple[int, ...], target: int) -> str | None:
    """The first thing wrong with a solution, in words, or None if it solves the problem. Never raises."""
    if len(text) > LONGEST:
        return f"longer than {LONGEST} characters"
    if not _STEPS.fullmatch(text):
        return "not of the form a+b=c;…"
    available = list(numbers)
    for place, (left, operation, right, claimed) in enumerate(_STEP.findall(text), start=1):
        wrong = _step_fault(int(left), operation, int(right), int(claimed), available)
        if wrong:
            return f"step {place}: {wrong}"
    if available[-1] != target:
        return f"ends at {available[-1]}, not {target}"
    unused = len(available) - 1
    return f"{unused} number{'s' if unused > 1 else ''} unused" if unused else None


def _step_fault(left: int, operation: str, right: int, claimed: int, available: list[int]) -> str | None:
    """What is wrong with one step, or None; takes its operands from `available` and puts the result at the end."""
    for operand in (left, right):
        if operand not in available:
            return f"{operand} is not available"
        available.remove(operand)
    if operation == "/" and left % right:
        return f"{left}/{right} is not whole"
    results = {"+": left + right, "-": left - right, "*": left * right, "/": left // right}
    result = results[operation]
    if result < 1:
        return f"{left}{operation}{right} is {result}, not positive"
    if result != claimed:
        return f"{left}{operation}{right} is {result}, not {claimed}"
    available.append(result)
    return None


def _questions(problems: pa.Table) -> dict[str, tuple[tuple[int, ...], int] | None]:
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
