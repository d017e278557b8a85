"""How many undecided verdicts are too many."""

from collections import Counter

import pytest

from lib import undecided
from lib.errors import TooManyUndecided


@pytest.mark.parametrize(
    ("found", "limit", "is_refused"),
    [
        ({}, 0.05, False),
        ({"correct": 19, "undecided": 1}, 0.05, False),  # 5 % is the limit, not past it
        ({"correct": 18, "undecided": 1}, 0.05, True),
        ({"undecided": 1}, 0.05, True),
        ({"undecided": 1}, 1.0, False),
        ({"wrong": 1}, 0.0, False),
        ({"wrong": 99, "undecided": 1}, 0.0, True),
    ],
)
def test_more_than_the_limit_is_refused(found: dict[str, int], limit: float, is_refused: bool):
    if not is_refused:
        assert undecided.refuse("verify", limit, found) is None
        return
    with pytest.raises(
        TooManyUndecided, match=f"^verify: 1 of {sum(found.values())} verdicts are undecided, over the limit of {limit:.0%}; "
    ):
        undecided.refuse("verify", limit, found)


def test_the_line_says_where_to_look_and_what_to_raise():
    with pytest.raises(TooManyUndecided, match=r"; look at their reasons in the verdicts table, or raise undecided_limit$"):
        undecided.refuse("verify", 0.05, Counter(undecided=2))
    with pytest.raises(TooManyUndecided, match=r"; mend this, or raise undecided_limit$"):
        undecided.refuse("verify", 0.05, Counter(undecided=2), "mend this")
