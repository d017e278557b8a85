"""Code judged by running it: unit tests (HumanEval, MBPP) or standard input and output, in the sandbox.

Accepts for `assert f(3) == 6` any text from which `lib.verifiers.code_text` reads a program whose `f(3)` is 6. Rejects what raises,
returns another value, passes a limit, ends its process (`os._exit(0)` before the tests too) or prints that it has passed.
A program that passes its time or memory limit has failed its tests and is wrong; `undecided` is kept for what is not the program's
doing: no tests or unreadable ones, a sandbox that did not start, a completion that was not sampled.
Output is compared line by line with trailing whitespace and trailing empty lines ignored.

Does not catch: a program that is right on the tests alone, such as a table of their answers. Judges wrongly: tests that compare by
identity (`is`), await coroutines, or compare the program's own objects with plain values (they can equal each other only). A test
that hands over an object of a class of its own is undecided if it fails. Time limits are those of the machine: a program near
its limit may pass on one and fail on another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from lib.protocols import Engine, Tables
from lib.sandbox import Limits, Mode, Outcome, Program, Sandbox, Trial, run_many
from lib.strategy import Strategy
from lib.verifiers.code_tests import Case, UnitTests, UnreadableTests, parse
from lib.verifiers.code_text import LONGEST, read
from lib.verifiers.verdicts import Judgement, verdicts_of

_SHOWN = 60
"""Characters of an output that a reason quotes."""


class Code(Strategy):
    """One verdict per completion; equal completions of a problem are run once."""

    name: ClassVar[str] = "code"
    needs: ClassVar[tuple[str, ...]] = ("tests",)
    knows_gold: ClassVar[bool] = True

    sandbox: Mode = "bubblewrap"
    """`limits_only` runs programs without walls, as the user, with limits alone: for programs that you trust."""
    cpu_seconds: int = Field(default=10, ge=1)
    """Processor seconds of one program, over all its tests, or per case. The slowest reference solution of MBPP takes up to 4."""
    wall_seconds: float = Field(default=20.0, gt=0)
    """Seconds by the clock, those not counted in which a busy machine had no core for it."""
    memory_mb: int = Field(default=512, ge=64)
    """Address space of one process, and memory of all together."""
    site_packages: bool = False
    """Whether programs and tests may import what is installed beside roundhouse."""

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        tests = dict(zip(tables.problems["problem_id"].to_pylist(), tables.problems["tests"].to_pylist(), strict=True))
        columns = [tables.completions[name].to_pylist() for name in ("problem_id", "text", "finish_reason")]
        asked = [(text, tests.get(problem), finish) for problem, text, finish in zip(*columns, strict=True)]
        judged = dict(zip(distinct := list(dict.fromkeys(asked)), self.judge(distinct), strict=True))
        return verdicts_of(tables.completions, self.name, [judged[one] for one in asked])

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def judge(self, asked: Sequence[tuple[str, str | None, str]]) -> list[Judgement]:
        """The verdict on each (text, tests, finish reason). Raises UserError where there is no sandbox, and for nothing else."""
        limits = Limits(cpu_seconds=self.cpu_seconds, wall_seconds=self.wall_seconds, memory_mb=self.memory_mb)
        sandbox = Sandbox(limits, self.sandbox, self.site_packages)
        sandbox.check()
        return run_many([partial(_judged, sandbox, *one) for one in asked])


def _judged(sandbox: Sandbox, text: str, tests: str | None, finish_reason: str) -> Judgement:
    if finish_reason == "error":
        return Judgement("undecided", "not sampled")
    if tests is None:
        return Judgement("undecided", "no tests")
    try:
        wanted = parse(tests)
    except UnreadableTests as error:
        return Judgement("undecided", f"unreadable tests: {error}")
    judgement = _run(sandbox, text, wanted)
    if judgement.outcome == "wrong" and finish_reason == "length":
        return Judgement("wrong", "cut off by the length limit")
    return judgement


def _run(sandbox: Sandbox, text: str, wanted: UnitTests | tuple[Case, ...]) -> Judgement:
    if len(text) > LONGEST:
        return Judgement("wrong", f"longer than {LONGEST} characters")
    if isinstance(wanted, tuple):
        sources = read(text).sources
        return _cases(sandbox, sources, wanted) if sources else Judgement("wrong", "no code")
    sources, prelude = read(text, wanted.prompt, wanted.entry_points)
    if not sources:
        return Judgement("wrong", "no code")
    return _judgement(sandbox.judge(Trial(sources, wanted.source, wanted.entry_points, prelude, wanted.prompt)))


def _cases(sandbox: Sandbox, sources: tuple[str, ...], cases: tuple[Case, ...]) -> Judgement:
    """The first case that does not come out right decides."""
    for number, case in enumerate(cases, start=1):
        outcome = sandbox.run(Program(sources, case.stdin))
        judgement = _judgement(outcome)
        if outcome.status == "passed" and (fault := _difference(_lines(outcome.stdout), _lines(case.stdout))):
            judgement = Judgement("wrong", f"failed: {fault}")
        if judgement.outcome != "correct":
            return Judgement(judgement.outcome, f"case {number} of {len(cases)}: {judgement.reason}")
    return Judgement("correct", "passed")


def _difference(found: list[str], expected: list[str]) -> str:
    """The first line that differs; empty where none does."""
    for number, (line, right) in enumerate(zip_longest(found, expected), start=1):
        if line != right:
            shown = [repr(text[:_SHOWN]) if text is not None else "missing" for text in (line, right)]
            return f"line {number} is {shown[0]}, not {shown[1]}"
    return ""


def _judgement(outcome: Outcome) -> Judgement:
    words = {"passed": "correct", "failed": "wrong"}
    return Judgement(words.get(outcome.status, "undecided"), outcome.reason)


def _lines(output: str) -> list[str]:
    return [line.rstrip() for line in output.rstrip().split("\n")]
