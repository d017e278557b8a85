"""Means over all subsets of k of n completions, in closed form or by counting; where there are too many ways, over some drawn.

n completions stand for what k of them would have given: the mean over subsets has no bias and less noise than one subset.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations, groupby

import numpy as np

from lib.seeds import uniforms

MOST_WAYS = 100_000
"""Steps of counting beyond which subsets are drawn instead."""

Ways = dict[tuple[int, int], tuple[int, float]]
"""(Completions taken, classes that hold the most) → number of ways, and their sum of the values of those classes."""


def ranked(values: Sequence[tuple[float, float]]) -> list[float]:
    """Correctness by descending score from (score, correctness); of those with one score each has their mean."""
    ordered = sorted(values, key=lambda value: -value[0])
    found: list[float] = []
    for _, tied in groupby(ordered, key=lambda value: value[0]):
        members = [correct for _, correct in tied]
        found += [math.fsum(members) / len(members)] * len(members)
    return found


def top_mean(ordered: Sequence[float], k: int, s: int = 1) -> float:
    """Mean correctness of the first s of k: Σ_j c_j P(j is among them), with Σ_{i<s} C(j-1, i) C(n-j, k-1-i) / C(n, k) as P.

    At s = 1 this is best-of-k, Σ_{j=1..n-k+1} c_j C(n-j, k-1) / C(n, k).
    """
    n = len(ordered)
    ways = [sum(math.comb(j, i) * math.comb(n - 1 - j, k - 1 - i) for i in range(min(s, k))) for j in range(n)]
    return math.fsum(c * w for c, w in zip(ordered, ways, strict=True)) / math.comb(n, k) / s


def top_all(values: Sequence[tuple[float, bool]], k: int, s: int) -> float:
    """Probability that the s best of k are all correct, from (score, correct); of those with one score any comes first."""
    ordered = sorted(values, key=lambda value: -value[0])
    before = right_before = 0
    found = 0.0
    for _, tied in groupby(ordered, key=lambda value: value[0]):
        members = [correct for _, correct in tied]
        size, right = len(members), sum(members)
        behind = len(ordered) - before - size
        for i in range(s):  # taken from before: all of them among the s best
            here = s - i
            ways = sum(math.comb(size, b) * math.comb(behind, k - i - b) for b in range(here, min(size, k - i) + 1))
            found += math.comb(right_before, i) * ways * (math.comb(right, here) / math.comb(size, here) if ways else 0.0)
        before, right_before = before + size, right_before + right
    return found / math.comb(len(ordered), k)


def distinct_at_least(sizes: Sequence[int], n: int, k: int, s: int) -> float:
    """Probability that k of n hold members of at least s classes of these sizes; the others of the n are in no class."""
    ways = {(0, 0): 1}
    for size in sizes:
        following: dict[tuple[int, int], int] = {}
        for (taken, classes), count in ways.items():
            for more in range(min(size, k - taken) + 1):
                place = taken + more, min(s, classes + (more > 0))
                following[place] = following.get(place, 0) + count * math.comb(size, more)
        ways = following
    rest = n - sum(sizes)
    return sum(count * math.comb(rest, k - taken) for (taken, classes), count in ways.items() if classes >= s) / math.comb(n, k)


def majority(votes: Sequence[Hashable], values: Sequence[float], k: int, seed: int, draws: int) -> float:
    """Mean over subsets of k of the value of the answer with the most votes, tied ones sharing; a vote of None is none.

    An answer's value is the mean over its completions. Exact by class counts where that is feasible, else over so many
    subsets, drawn by the seed.
    """
    classes = _classes(votes, values)
    if len(classes) * k**3 <= MOST_WAYS:
        return _counted([(len(m), math.fsum(m) / len(m)) for m in classes.values()], votes.count(None), k)
    return weighted_majority(votes, values, [1.0] * len(votes), k, seed, draws)


def weighted_majority(votes: Sequence[Hashable], values: Sequence[float], weights: Sequence[float], k: int, seed: int, draws: int) -> float:
    """The same with weighted votes, over all subsets where there are at most `draws`, else over so many."""
    worth = {vote: math.fsum(members) / len(members) for vote, members in _classes(votes, values).items()}
    found = []
    for subset in subsets(len(votes), k, seed, draws):
        sums: dict[Hashable, list[float]] = {}
        for place in subset:
            if votes[place] is not None:
                sums.setdefault(votes[place], []).append(weights[place])
        totals = {vote: math.fsum(members) for vote, members in sums.items()}
        most = max(totals.values(), default=0.0)
        first = [worth[vote] for vote, total in totals.items() if total == most]
        found.append(math.fsum(first) / len(first) if first else 0.0)
    return math.fsum(found) / len(found)


def subsets(n: int, k: int, seed: int, draws: int) -> Iterator[tuple[int, ...]]:
    """All subsets of k of n, or so many drawn by the seed where there are more."""
    if math.comb(n, k) <= draws:
        yield from combinations(range(n), k)
        return
    order = np.argsort(uniforms([seed], 0, draws * n).reshape(draws, n), axis=1, kind="stable")[:, :k]
    yield from (tuple(sorted(row)) for row in order.tolist())


def _classes(votes: Sequence[Hashable], values: Sequence[float]) -> dict[Hashable, list[float]]:
    found: dict[Hashable, list[float]] = {}
    for vote, value in zip(votes, values, strict=True):
        if vote is not None:
            found.setdefault(vote, []).append(value)
    return found


def _counted(classes: Sequence[tuple[int, float]], silent: int, k: int) -> float:
    """By the number of votes t that the leading answers have: no class has more, and e of them have just t."""
    n = silent + sum(size for size, _ in classes)
    total = 0.0
    for most in range(1, k + 1):
        ways: Ways = {(taken, 0): (math.comb(silent, taken), 0.0) for taken in range(min(silent, k) + 1)}
        for size, value in classes:
            ways = _with_class(ways, size, value, most, k)
        total += sum(value / leading for (taken, leading), (_, value) in ways.items() if taken == k and leading)
    return total / math.comb(n, k)


def _with_class(ways: Ways, size: int, value: float, most: int, k: int) -> Ways:
    found: Ways = {}
    for (taken, leading), (count, worth) in ways.items():
        for more in range(min(size, most, k - taken) + 1):
            leads = more == most
            chosen = math.comb(size, more)
            place = taken + more, leading + leads
            before = found.get(place, (0, 0.0))
            found[place] = before[0] + count * chosen, before[1] + (worth + (value * count if leads else 0.0)) * chosen
    return found
