from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from lib.protocols import Machine
from lib.trainers.batches import cut, cut_for, micro_batch, order


def test_every_row_is_seen_once_before_any_is_seen_again() -> None:
    seen = order(items=10, batch_size=4, steps=5, seed=3).ravel()
    assert sorted(seen[:10]) == list(range(10)) == sorted(seen[10:])
    assert seen[:10].tolist() != seen[10:].tolist()


def test_fewer_rows_than_a_batch_are_the_batch() -> None:
    assert [sorted(step) for step in order(items=3, batch_size=64, steps=2, seed=0).tolist()] == [[0, 1, 2]] * 2


def test_the_order_follows_from_the_seed() -> None:
    assert (order(50, 8, 20, seed=1) == order(50, 8, 20, seed=1)).all()
    assert (order(50, 8, 20, seed=1) != order(50, 8, 20, seed=2)).any()


@pytest.mark.parametrize(("batch", "wanted", "size"), [(64, None, 64), (64, 32, 32), (64, 512, 64), (64, 50, 32), (7, 4, 1)])
def test_a_micro_batch_divides_the_batch(batch: int, wanted: int | None, size: int) -> None:
    assert micro_batch(batch, wanted) == size


def cost(lengths: list[int], counts: list[int], parts: list[list[int]], overhead: int) -> int:
    return sum(max(lengths[i] for i in part) * sum(counts[i] for i in part) + overhead for part in parts)


def test_the_cut_costs_least_of_all() -> None:
    draw = np.random.default_rng(0)
    for _ in range(20):
        lengths, counts = draw.integers(1, 30, 7).tolist(), draw.integers(1, 4, 7).tolist()
        found = [part.tolist() for part in cut(np.array(lengths), np.array(counts), 12, 200, 20)]
        places = sorted(range(7), key=lambda i: -lengths[i])
        every = []
        for size in range(7):
            for ends in combinations(range(1, 7), size):
                parts = [places[a:b] for a, b in zip((0, *ends), (*ends, 7), strict=True)]
                if all(len(p) == 1 or (sum(counts[i] for i in p) <= 12 and cost(lengths, counts, [p], 0) <= 200) for p in parts):
                    every.append(cost(lengths, counts, parts, 20))
        assert cost(lengths, counts, found, 20) == min(every)
        assert sorted(i for part in found for i in part) == list(range(7))


def test_a_part_keeps_to_what_a_machine_may_hold() -> None:
    lengths, ones = np.array([5, 9, 5, 5, 100]), np.ones(5, dtype=np.int64)
    assert [part.tolist() for part in cut(lengths, ones, 2, 50, 1000)] == [[4], [1, 0], [2, 3]]
    assert [part.tolist() for part in cut(lengths, ones, 1, 50, 1000)] == [[4], [1], [0], [2], [3]]
    assert [part.tolist() for part in cut(lengths, ones, 99, 10**6, 10**6)] == [[4, 1, 0, 2, 3]]


def test_items_of_several_rows_are_never_cut() -> None:
    lengths, counts = np.array([4, 8]), np.array([5, 5])
    assert [part.tolist() for part in cut(lengths, counts, 2, 50, 1)] == [[1], [0]]


@pytest.mark.parametrize(
    ("vocabulary", "machine", "most"),
    [(435, Machine(), 40), (2**21, Machine(), 6), (435, Machine(micro_batch=7), 7), (2**21, Machine(device="cuda"), 100)],
)
def test_a_machine_holds_so_many_rows_of_a_hundred_and_of_ten_tokens(vocabulary: int, machine: Machine, most: int) -> None:
    lengths = np.full(100, 100 if vocabulary == 435 else 10)
    parts = cut_for(machine, vocabulary, lengths, np.ones_like(lengths))
    assert max(map(len, parts)) == most
