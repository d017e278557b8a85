"""Closed forms against what they stand for: the mean over every subset."""

import math
import random
from itertools import combinations, permutations

import pytest

from lib.evaluators.subsets import distinct_at_least, majority, ranked, subsets, top_all, top_mean, weighted_majority


def ordered(*correct):
    return ranked([(-float(place), float(c)) for place, c in enumerate(correct)])


@pytest.mark.parametrize(("k", "value"), [(1, 0.6), (2, 0.5), (3, 0.4), (5, 0.0)])
def test_best_of_k_has_the_known_values(k, value):
    assert top_mean(ordered(0, 1, 1, 0, 1), k) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("votes", "k", "value"),
    [("rrrxx", 3, 0.7), ("rrrxy", 3, 0.8), ("rrrxy", 1, 0.6), ("rrrxx", 5, 1.0), ("rx", 2, 0.5)],
)
def test_majority_has_the_known_values(votes, k, value):
    assert majority([*votes], [float(vote == "r") for vote in votes], k, 0, 1) == pytest.approx(value, abs=1e-12)


def by_hand(votes, values, k):
    worth = {vote: sum(v for x, v in zip(votes, values, strict=True) if x == vote) / votes.count(vote) for vote in votes}
    total = 0.0
    for subset in combinations(range(len(votes)), k):
        said = [votes[i] for i in subset if votes[i] is not None]
        most = max((said.count(vote) for vote in said), default=0)
        first = [vote for vote in {*said} if said.count(vote) == most]
        total += sum(worth[vote] for vote in first) / len(first) if first else 0.0
    return total / math.comb(len(votes), k)


def test_counting_by_class_is_the_mean_over_all_subsets():
    draw = random.Random(0)
    for _ in range(40):
        n = draw.randint(1, 8)
        votes = [draw.choice(["a", "b", "c", None]) for _ in range(n)]
        values = [float(draw.random() < 0.5) for _ in range(n)]
        k = draw.randint(1, n)
        wanted = by_hand(votes, values, k)
        assert majority(votes, values, k, 0, 1) == pytest.approx(wanted, abs=1e-12)
        assert weighted_majority(votes, values, [1.0] * n, k, 0, 1000) == pytest.approx(wanted, abs=1e-12)


def test_where_ways_are_too_many_subsets_are_drawn_by_the_seed():
    votes = [f"{i % 40}" for i in range(100)] + ["r"] * 20
    values = [float(vote == "r") for vote in votes]
    first, again, other = (majority(votes, values, 16, seed, 300) for seed in (1, 1, 2))
    assert first == again != other
    assert abs(first - other) < 0.1
    assert len([*subsets(30, 10, 0, 50)]) == 50
    assert [*subsets(3, 2, 0, 3)] == [(0, 1), (0, 2), (1, 2)]


def test_the_heavier_vote_wins():
    votes, values = ["r", "x", "x"], [1.0, 0.0, 0.0]
    assert weighted_majority(votes, values, [0.9, 0.3, 0.4], 3, 0, 10) == 1.0
    assert weighted_majority(votes, values, [0.7, 0.3, 0.4], 3, 0, 10) == 0.5
    assert weighted_majority(votes, values, [0.9, 0.3, 0.4], 2, 0, 10) == pytest.approx(2 / 3)


def test_the_best_s_of_k_are_those_of_every_subset_and_every_order_of_equals():
    scored = [(0.9, True), (0.9, False), (0.5, True), (0.5, True), (0.1, False)]
    for k, s in ((2, 1), (3, 2), (4, 2), (5, 3)):
        means, alls = [], []
        for order in permutations(scored):
            falling = sorted(order, key=lambda row: -row[0])  # equals in the order drawn
            for subset in combinations(falling, k):
                best = [correct for _, correct in subset[:s]]
                means.append(sum(best) / s)
                alls.append(all(best))
        assert top_mean(ranked([(score, float(c)) for score, c in scored]), k, s) == pytest.approx(sum(means) / len(means))
        assert top_all(scored, k, s) == pytest.approx(sum(alls) / len(alls))


@pytest.mark.parametrize(("sizes", "n"), [((2, 1), 5), ((1, 1, 1), 3), ((), 4), ((3,), 3)])
def test_distinct_ones_are_counted_over_every_subset(sizes, n):
    members = [f"class {i}" for i, size in enumerate(sizes) for _ in range(size)] + [None] * (n - sum(sizes))
    for k in range(1, n + 1):
        for s in (1, 2):
            hits = [len({*subset} - {None}) >= s for subset in combinations(members, k)]
            assert distinct_at_least(sizes, n, k, s) == pytest.approx(sum(hits) / len(hits))
