"""Invented attempts at Countdown problems, wrong in the ways in which a small model is wrong, and problems to go with them.

    claim    8*5=40;40-1=45     the last step claims the target, whatever its result
    digit    8+1=8;8*5=45       a result is off by 1, 2 or 10, and the attempt goes on from there
    twice    8*5=40;40+5=45     a number is used twice and another never
    short    8+1=9              it stops before the end
    target   8*5=40;40-1=39     every step holds, and the end is elsewhere: a solution of another problem

An attempt may be right by luck; whoever learns from it must have it judged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from typing import TypeVar

from lib import seeds
from lib.countdown_roles import Proposal
from lib.countdown_splits import split_of
from lib.countdown_steps import computed

T = TypeVar("T")

KINDS = ("claim", "claim", "digit", "twice", "short", "target")
"""Kinds in their shares; a claimed target is the mistake that models make the most."""

LARGEST_PRODUCT = 99

USUAL = 20
"""The largest number of the problem set's problems."""

_PARTS = re.compile(r"[0-9]+|[-+*/]")

OFF = (-10, -2, -1, 1, 2, 10)
"""How far a wrong result is from the right one."""


Step = tuple[int, str, int, int]
"""Left operand, operation, right operand and what is claimed."""


def problem(*parts: object) -> Proposal:
    """A problem drawn from a stream that `parts` name: like those of the problem set, and none of them, for its largest number is from
    21 to 40. It is of the split `train`, so that no set with larger numbers has it held out."""
    for place in count():
        stream = _Stream(seeds.seed_of("problem", *parts, place))
        numbers = [stream.pick(range(1, USUAL + 1)), stream.pick(range(1, USUAL + 1)), stream.pick(range(USUAL + 1, 2 * USUAL + 1))]
        steps = _folded(numbers, stream, spoiled=None)
        target = steps[-1][3]
        if 10 <= target <= 99 and target not in numbers and split_of(numbers, target) == "train":
            break
    return Proposal(tuple(sorted(numbers)), target, _written(steps))


def attempt(numbers: Sequence[int], target: int, *parts: object) -> str:
    """An attempt at a problem, drawn from a stream that the problem and `parts` name."""
    stream = _Stream(seeds.seed_of("attempt", list(numbers), target, *parts))
    kind = stream.pick(KINDS)
    values = list(numbers)
    if kind == "twice":
        place = stream.pick(range(len(values)))
        values[place] = values[place - 1]
    steps = _folded(values, stream, spoiled=stream.pick(range(len(values) - 1)) if kind == "digit" else None)
    if kind == "short":
        steps = steps[:-1]
    elif kind != "target":
        steps[-1] = (*steps[-1][:3], target)
    return _written(steps)


def spoiled(answer: str, numbers: Sequence[int], *parts: object) -> str:
    """A worked solution whose last step takes another operation or another of the problem's numbers, and claims the same result."""
    stream = _Stream(seeds.seed_of("spoiled", answer, list(numbers), *parts))
    *steps, last = answer.split(";")
    left, operation, right, made = _PARTS.findall(last)
    kind = stream.pick(("operation", "left", "right"))
    if kind == "operation":
        operation = stream.pick([other for other in "+-*/" if other != operation])
    elif kind == "left":
        left = stream.pick(numbers)
    else:
        right = stream.pick(numbers)
    return ";".join([*steps, f"{left}{operation}{right}={made}"])


def _written(steps: Sequence[Step]) -> str:
    return ";".join(f"{left}{operation}{right}={claimed}" for left, operation, right, claimed in steps)


class _Stream:
    """Choices from one random stream."""

    def __init__(self, seed: int) -> None:
        self._seed, self._drawn = seed, 0

    def pick(self, choices: Sequence[T]) -> T:
        (place,) = seeds.uniforms([self._seed], self._drawn, 1)[0]
        self._drawn += 1
        return choices[int(place * len(choices))]


def _folded(numbers: list[int], stream: _Stream, spoiled: int | None) -> list[Step]:
    """Steps that fold the numbers in a drawn order, each holding but the one at `spoiled`."""
    left = list(numbers)
    value = left.pop(stream.pick(range(len(left))))
    steps: list[Step] = []
    while left:
        other = left.pop(stream.pick(range(len(left))))
        big, small = max(value, other), min(value, other)
        operation = stream.pick([o for o in "+-*/" if _is_usual(big, o, small)])
        first, second = (value, other) if operation in "+*" else (big, small)
        value = computed(first, operation, second) or 1
        if len(steps) == spoiled:
            value = max(1, value + stream.pick(OFF))
        steps.append((first, operation, second, value))
    return steps


def _is_usual(big: int, operation: str, small: int) -> bool:
    """Whether a step is one that the problem set makes: a positive whole result, no division by 1, no product past 99."""
    made = computed(big, operation, small)
    return made is not None and made > 0 and not (operation == "/" and small == 1) and not (operation == "*" and made > LARGEST_PRODUCT)
