"""Countdown: reach a target from a few numbers with + - * / (generated, so there are always problems to learn from).

The prompt is `1,5,8>45:` (numbers sorted, then the target) and a solution is `8+1=9;9*5=45`. A problem is made by drawing
numbers and folding them in the order drawn with random operations. Sums and products are written in that order, differences
and quotients with the larger operand first; division must be exact and by at least 2. Two rules of
choice: no intermediate passes `largest_intermediate`, and the target is not one of the numbers. With the defaults this
leaves 11,432 solvable problems of three numbers (12,166 without the two rules).

Which split a problem belongs to is a hash of its sorted numbers and target alone, whatever the seed or the settings: of
twelve buckets one each is validation, gate and test, the other nine are train. The same numbers may stand in several
splits with other targets.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import islice
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lib import records, seeds
from lib.countdown_splits import SPLITS, split_of
from lib.errors import BadProblems, UnknownName
from lib.strategy import Strategy
from lib.verifiers import countdown

BLOCK = 8192
"""Problems drawn at once."""
IDLE_BLOCKS = 25
"""Blocks (about 200,000 draws) without a new problem after which four and five numbers count as exhausted."""

Integers = NDArray[np.int64]


class Problem(NamedTuple):
    """A solvable problem with one worked solution."""

    numbers: tuple[int, ...]
    target: int
    answer: str

    @property
    def problem_id(self) -> str:
        return seeds.short_id(Countdown.task, self.numbers, self.target)

    @property
    def split(self) -> str:
        return split_of(self.numbers, self.target)


class Countdown(Strategy):
    """A generated problem set; equal seeds give equal problems, and asking for more keeps those already given."""

    task: ClassVar[str] = "countdown"

    numbers: Literal[3, 4, 5] = 3
    """How many numbers a problem has: its difficulty."""
    largest: int = Field(default=20, ge=2, le=99)
    """Numbers are drawn evenly from 1 to this, with repetition."""
    target_low: int = Field(default=10, ge=1)
    """The smallest target."""
    target_high: int = Field(default=99, le=9999)
    """The largest target."""
    largest_intermediate: int = Field(default=99, ge=1)
    """The largest result that a step before the last may have in the solution that makes the problem."""
    target_may_be_given: bool = False
    """Whether the target may be one of the numbers."""

    @model_validator(mode="after")
    def _targets_exist(self) -> Countdown:
        if self.target_low > self.target_high:
            raise BadProblems(f"no target lies from {self.target_low} to {self.target_high}; raise target_high")
        return self

    def problems(self, split: str, count: int, seed: int, exclude: Container[str] = ()) -> pa.Table:
        """`count` distinct problems of one split as records.PROBLEMS, none of whose ids is in `exclude`.

        Raises BadProblems if there are fewer: exactly known for three numbers, and for four and five when about
        200,000 draws in a row brought nothing new.
        """
        if split not in SPLITS:
            raise UnknownName("split", split, SPLITS, "of Countdown")
        if self.numbers == 3:
            self._refuse_shortage(self.available(split, exclude) or 0, split, count)
        wanted = (p for p in self._drawn(seeds.seed_of(seed, split)) if p.split == split and p.problem_id not in exclude)
        found = list(islice(wanted, count))
        self._refuse_shortage(len(found), split, count)
        return records.PROBLEMS.table([self._row(problem) for problem in found])

    def available(self, split: str, exclude: Container[str] = ()) -> int | None:
        """How many problems a split has outside `exclude`; None for four and five numbers, too many to count."""
        return _count(self._every(), split, exclude) if self.numbers == 3 else None

    def solvable(self) -> int:
        """How many problems of three numbers exist, all splits together, counted by trying every draw.

        Raises BadProblems for four and five numbers, where trying all would take minutes.
        """
        if self.numbers != 3:
            raise BadProblems(f"problems of {self.numbers} numbers are too many to count; count with numbers=3")
        return sum(1 for _ in self._every())

    def verifiers(self) -> tuple[Strategy, ...]:
        """What judges a completion: exact arithmetic, no gold answer needed."""
        return (countdown.Countdown(),)

    def hint(self, answer: str) -> str:
        """The result of a solution's first step, as a hinted prompt `1,5,8>45#9:` shows it."""
        return answer.partition(";")[0].rpartition("=")[2]

    @property
    def largest_answer_tokens(self) -> int:
        """Enough tokens, one a character, for any solution within the settings and its end of text: 24, 36 or 48.

        A step is at most `aaa+bbb=ccc` and one more for the `;` or the end of text.
        """
        digits = max(3, len(str(max(self.target_high, self.largest_intermediate))))
        return (self.numbers - 1) * (3 * digits + 3)

    def _refuse_shortage(self, have: int, split: str, count: int) -> None:
        if have < count:
            raise BadProblems(
                f"Countdown has {have} problems of {self.numbers} numbers left for split '{split}' and {count} were asked for; "
                "ask for fewer, raise largest or numbers, or widen the targets"
            )

    def _drawn(self, seed: int) -> Iterator[Problem]:
        """Distinct problems in the order of a random stream; for three numbers without end, the caller knows how many exist."""
        seen: set[tuple[int, ...]] = set()
        width = 2 * self.numbers - 1
        block = idle = 0
        while self.numbers == 3 or idle < IDLE_BLOCKS:
            uniforms = seeds.uniforms([seed], block * BLOCK * width, BLOCK * width).reshape(BLOCK, width)
            before = len(seen)
            numbers = 1 + (uniforms[:, : self.numbers] * self.largest).astype(np.int64)
            yield from self._new(numbers, (uniforms[:, self.numbers :] * 4).astype(np.int64), seen)
            block, idle = block + 1, 0 if len(seen) > before else idle + 1

    def _every(self) -> Iterator[Problem]:
        """Each problem of three numbers once, one first number at a time to bound memory."""
        seen: set[tuple[int, ...]] = set()
        values = np.arange(1, self.largest + 1)
        for first in range(1, self.largest + 1):
            grid = np.array(np.meshgrid([first], values, values, np.arange(4), np.arange(4))).reshape(5, -1).T
            yield from self._new(grid[:, :3], grid[:, 3:], seen)

    def _new(self, numbers: Integers, operations: Integers, seen: set[tuple[int, ...]]) -> Iterator[Problem]:
        """The valid draws (B, n) and (B, n-1) whose sorted numbers and target are not in `seen`, which takes them in."""
        left, right, result, valid = _fold(numbers, operations)
        target = result[:, -1]
        valid &= (target >= self.target_low) & (target <= self.target_high)
        valid &= (result[:, :-1] <= self.largest_intermediate).all(axis=1)
        if not self.target_may_be_given:
            valid &= (numbers != target[:, None]).all(axis=1)
        keys = np.column_stack([np.sort(numbers, axis=1), target])
        for row in np.flatnonzero(valid).tolist():
            key = tuple(keys[row].tolist())
            if key not in seen:
                seen.add(key)
                yield Problem(key[:-1], key[-1], _written(left[row], operations[row], right[row], result[row]))

    def _row(self, problem: Problem) -> dict[str, object]:
        return {
            "problem_id": problem.problem_id,
            "task": self.task,
            "prompt": records.user_message(f"{','.join(map(str, problem.numbers))}>{problem.target}:"),
            "answer": problem.answer,
            "category": f"{self.numbers} numbers",
            "difficulty": float(self.numbers),
            "source": "given",
            "born_round": 0,
        }


def _fold(numbers: Integers, operations: Integers) -> tuple[Integers, Integers, Integers, NDArray[np.bool_]]:
    """Fold each row with operations 0 to 3 (+ - * /): left, right and result of every step (B, n-1), and which rows hold."""
    left, right, result = (np.ones_like(operations) for _ in range(3))
    valid = np.ones(len(numbers), dtype=np.bool_)
    value = numbers[:, 0]
    for step in range(operations.shape[1]):
        before, other, operation = value, numbers[:, step + 1], operations[:, step]
        big, small = np.maximum(before, other), np.minimum(before, other)
        made = np.choose(operation, [big + small, big - small, big * small, big // small])
        valid &= (made > 0) & ((operation != 3) | ((small >= 2) & (big % small == 0)))
        value = np.where(valid, made, 1)  # a dead row goes on with 1 so that nothing divides by zero
        commutes = (operation == 0) | (operation == 2)
        left[:, step] = np.where(commutes, before, big)
        right[:, step] = np.where(commutes, other, small)
        result[:, step] = value
    return left, right, result, valid


def _written(left: Integers, operations: Integers, right: Integers, result: Integers) -> str:
    steps = zip(left.tolist(), operations.tolist(), right.tolist(), result.tolist(), strict=True)
    return ";".join(f"{a}{'+-*/'[operation]}{b}={c}" for a, operation, b, c in steps)


def _count(problems: Iterator[Problem], split: str, exclude: Container[str]) -> int:
    return sum(1 for problem in problems if problem.split == split and problem.problem_id not in exclude)
