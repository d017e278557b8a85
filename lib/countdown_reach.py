"""Whether a Countdown target can still be reached: an exact search over the few numbers that are left.

Steps are those that lib.verifiers.countdown accepts: two numbers become one by + - * /, every result a positive whole number,
and at the end the target is the only number left. n numbers take at most n! (n - 1)! 3^(n-1) ways, so six are the most that are
searched.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

MOST_NUMBERS = 6
"""More are not searched."""


def can_reach(numbers: Sequence[int], target: int) -> bool:
    """Whether some order of steps makes the target of all these numbers. Raises ValueError for more than MOST_NUMBERS."""
    if len(numbers) > MOST_NUMBERS:
        raise ValueError(f"{len(numbers)} numbers are too many to search; {MOST_NUMBERS} are the most")
    return _reaches(tuple(sorted(numbers)), target)


@functools.lru_cache(maxsize=65_536)
def _reaches(numbers: tuple[int, ...], target: int) -> bool:
    if len(numbers) == 1:
        return numbers[0] == target
    for small, large in itertools.combinations(range(len(numbers)), 2):
        rest = [number for place, number in enumerate(numbers) if place not in (small, large)]
        if any(_reaches(tuple(sorted([*rest, made])), target) for made in _made(numbers[large], numbers[small])):
            return True
    return False


def _made(large: int, small: int) -> set[int]:
    """Every result of a step with two positive numbers."""
    found = {large + small, large * small, large - small, large // small if large % small == 0 else 0}
    return {number for number in found if number > 0}
