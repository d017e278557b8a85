import datetime
import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.verifiers.sql_rows import Result, difference, wanted

CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-2, 2)
    | st.sampled_from(["a", "b", ""])
    | st.decimals(-2, 2, places=2)
    | st.dates()
)
TABLES = st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[CELLS] * width), max_size=8))


def different(gold, found, query="SELECT x"):
    """The difference between two lists of rows, the gold's query being `query`."""
    first, second = (Result(tuple(f"c{place}" for place in range(len(rows[0]) if rows else 1)), rows) for rows in (gold, found))
    return difference(wanted(query, first), second)


@given(TABLES, st.randoms(use_true_random=False))
def test_rows_and_columns_in_any_order_are_the_same(rows, chance):
    order = list(range(len(rows[0]) if rows else 1))
    chance.shuffle(order)
    moved = [tuple(row[place] for place in order) for row in rows]
    chance.shuffle(moved)
    assert different(rows, moved) is None


@given(TABLES, TABLES)
def test_the_same_is_symmetric(left, right):
    assert (different(left, right) is None) == (different(right, left) is None)


@given(TABLES.filter(bool))
def test_a_row_more_or_fewer_is_another_result(rows):
    assert "rows" in different(rows, rows[1:]) if len(rows) > 1 else True
    assert "rows" in different(rows, [*rows, rows[0]])


@pytest.mark.parametrize(
    ("gold", "found"),
    [
        (1, 1.0),
        (1, True),
        (Decimal("0.30"), 0.1 + 0.2),
        (1 / 3, 0.33333333),
        (10**30, 10**30 + 1),
        (float("nan"), float("nan")),
        (None, None),
        (datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2)),
        ([1, None], (1, None)),
    ],
)
def test_cells_that_are_the_same(gold, found):
    assert different([(gold,)], [(found,)]) is None


@pytest.mark.parametrize(
    ("gold", "found"),
    [
        (1, 2),
        (1, "1"),
        (1, None),
        (0, None),
        ("a", "A"),
        ("a", "a "),
        (1 / 3, 0.333),
        (float("nan"), "NaN"),
        ("2020-01-02", datetime.date(2020, 1, 2)),
        (10**400, 1.5),
        (datetime.time(1, 2), datetime.timedelta(hours=1, minutes=2)),
    ],
)
def test_cells_that_are_not_the_same(gold, found):
    assert different([(gold,)], [(found,)]) == "other values"


def test_rows_that_tie_up_to_the_last_digits_are_paired():
    gold = [(0.1 + 0.2, 5), (0.3, 4)]
    assert different(gold, [(0.3, 5), (0.1 + 0.2, 4)]) is None
    assert different(gold, [(0.3, 5), (0.1 + 0.2, 5)]) == "other values"


def test_columns_that_match_one_by_one_must_match_together():
    assert different([(1, 2), (2, 1)], [(1, 1), (2, 2)]) == "other values"
    assert different([(1, 2, 3), (2, 1, 4)], [(3, 2, 1), (4, 1, 2)]) is None


def test_many_alike_columns_are_no_trouble():
    gold = [tuple([1] * 30), tuple([2] * 30)]
    assert different(gold, gold) is None
    assert different(gold, [tuple([1] * 29 + [3]), tuple([2] * 30)]) == "other values"


def test_order_by_an_output_column_frees_ties_and_by_anything_else_does_not():
    gold = [(2, "a"), (1, "b"), (1, "c")]
    swapped = [(2, "a"), (1, "c"), (1, "b")]
    assert different(gold, swapped, "SELECT x, y FROM t ORDER BY c0 DESC") is None
    assert different(gold, swapped, "SELECT x, y FROM t ORDER BY 1 DESC") is None
    assert different(gold, swapped, "SELECT x, y FROM t ORDER BY t.c0 DESC") is None
    assert different(gold, swapped, "SELECT x, y FROM t ORDER BY c0 DESC, c1") == "other order"
    assert different(gold, swapped, "SELECT x, y FROM t ORDER BY sum(z)") == "other order"
    assert different(gold, swapped, "SELECT x, y FROM t ORDER BY 7") == "other order"
    assert different(gold, gold[::-1], "SELECT x, y FROM t ORDER BY 1 DESC") == "other order"
    assert different(gold, gold[::-1]) is None


def test_large_results_take_little_time():
    rows = [(place / 7, place % 10, "x") for place in range(20_000)]
    moved = [(value + 1e-12, digit, text) for value, digit, text in rows]
    random.Random(0).shuffle(moved)
    assert different(rows, moved) is None
    assert different(rows, [*moved[1:], (-1.0, 0, "x")]) == "other values"
