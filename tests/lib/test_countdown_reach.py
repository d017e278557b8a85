"""An exact search: it finds what one can find by hand, and agrees with a search of another kind."""

import itertools
import random
from fractions import Fraction

import pytest

from lib.countdown_reach import can_reach
from lib.countdown_steps import fault


@pytest.mark.parametrize(
    ("numbers", "target", "able"),
    [
        ((9, 5), 45, True),
        ((45,), 45, True),
        ((44,), 45, False),
        ((40, 1), 45, False),
        ((1, 5, 8), 45, True),  # 8+1=9;9*5=45
        ((3, 3), 0, False),  # a result of 0 is no step
        ((7, 2), 3, False),  # 7/2 is not whole
        ((6, 1), 6, True),  # 6*1 and 6/1
        ((2, 3, 5, 7), 1000, False),
    ],
)
def test_what_can_be_reached(numbers, target, able):
    assert can_reach(numbers, target) is able


def all_solutions(numbers, target):
    """Every way to write a solution step by step, by trying each order, told by the verifier itself."""
    ways = [("", tuple(numbers))]
    while ways:
        text, left = ways.pop()
        if len(left) == 1:
            if fault(text, tuple(numbers), target) is None:
                yield text
            continue
        for i, j in itertools.permutations(range(len(left)), 2):
            a, b = left[i], left[j]
            for sign, made in (("+", a + b), ("-", a - b), ("*", a * b), ("/", Fraction(a, b))):
                if made > 0 and made == int(made):
                    rest = tuple(n for place, n in enumerate(left) if place not in (i, j))
                    ways.append((f"{text}{';' if text else ''}{a}{sign}{b}={int(made)}", (*rest, int(made))))


def test_it_agrees_with_every_solution_that_the_verifier_accepts():
    draw = random.Random(3)
    found = []
    for _ in range(150):
        numbers, target = [draw.randint(1, 12) for _ in range(3)], draw.randint(1, 60)
        found.append(next(all_solutions(numbers, target), None) is not None)
        assert can_reach(numbers, target) is found[-1]
    assert 20 < sum(found) < 130


def test_more_numbers_than_are_searched_are_refused():
    with pytest.raises(ValueError, match="7 numbers are too many"):
        can_reach([1] * 7, 3)
