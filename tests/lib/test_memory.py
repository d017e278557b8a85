"""Which examples a train stage lets go of."""

import pyarrow as pa
import pytest

from lib.memory import kept


def examples(*names):
    return pa.table({"example_id": list(names)})


def left(table, rows, evict, seed=0):
    return kept([table], rows, evict, seed)[0]["example_id"].to_pylist()


@pytest.mark.parametrize(("rows", "found"), [(1, ["c"]), (2, ["b", "c"]), (3, ["a", "b", "c"]), (9, ["a", "b", "c"])])
def test_the_oldest_go_first(rows: int, found: list[str]):
    assert left(examples("a", "b", "c"), rows, "oldest") == found


def test_what_a_draw_evicted_stays_away_when_more_comes():
    names = [f"e{i}" for i in range(60)]
    first, then = left(examples(*names[:40]), 10, "random"), left(examples(*names), 10, "random")
    assert set(then) <= {*first, *names[40:]}


def test_a_draw_takes_each_as_often_as_any_other():
    names = [f"e{i}" for i in range(10)]
    times = dict.fromkeys(names, 0)
    for seed in range(1000):
        for name in left(examples(*names), 3, "random", seed):
            times[name] += 1
    assert all(240 < n < 360 for n in times.values())  # 300 expected, 14.5 the deviation


def test_what_stays_keeps_its_order():
    found = left(examples(*(f"e{i:02}" for i in range(30))), 7, "random", seed=3)
    assert (found, len(found)) == (sorted(found), 7)


@pytest.mark.parametrize(
    ("rows", "evict", "gone"),
    [
        (3, "oldest", [(0, "a"), (0, "b")]),
        (2, "oldest", [(0, "a"), (0, "b"), (2, "a")]),
        (5, "oldest", []),
        (9, "random", []),
        (0, "random", [(0, "a"), (0, "b"), (2, "a"), (2, "c"), (2, "d")]),
    ],
)
def test_what_went_is_named_with_the_table_that_held_it(rows: int, evict: str, gone: list[tuple[int, str]]):
    stayed, evicted = kept([examples("a", "b"), examples().cast(examples("a").schema), examples("a", "c", "d")], rows, evict, 0)
    assert [tuple(row.values()) for row in evicted.to_pylist()] == gone
    assert stayed.num_rows + len(gone) == 5


def test_what_stays_and_what_went_are_all_that_was_given():
    stayed, evicted = kept([examples("a", "b", "c"), examples("d", "e")], 2, "random", 3)
    assert sorted([*stayed["example_id"].to_pylist(), *evicted["example_id"].to_pylist()]) == ["a", "b", "c", "d", "e"]
