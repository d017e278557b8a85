"""What several seeds and many problems say together: means and paired differences over both, and many of them at once.

A value v[s, i] belongs to seed s and problem i: the difference of two recipes on one problem from one seed, or one recipe's
own value. Both are clusters, for all values of a seed share its models and all values of a problem its difficulty. With m_s
the mean of a seed, m_i that of a problem over the seeds, S seeds and n problems:

    stderr² = var(m_s) / S + var(m_i) / n

which is the variance of a bootstrap that draws seeds and problems with replacement, each of them apart (Owen 2007, "The
pigeonhole bootstrap"), with the divisors S - 1 and n - 1. Noise of single values counts in both parts, so that it is rather too
large than too small (Cameron, Gelbach and Miller 2011 take it off once, and may end below zero). Percentiles of such a
bootstrap are far too narrow for two or three seeds, and its p values end at one part of the draws; so the interval is
Student's t, with the degrees of freedom of Satterthwaite (1946) for a sum of two variances. From one seed only var(m_i) / n can
be known, and nothing is said of other seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib import student

CONFIDENCE = 0.95
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds and problems. Where nothing varied, its error is zero and there is no interval."""

    value: float
    stderr: float | None
    """None where one value is all there is."""
    low: float | None
    high: float | None
    p: float | None
    """Two-sided, that the mean is zero."""
    df: float | None
    seeds: int
    problems: int

    def smallest(self, comparisons: int = 1) -> float | None:
        """The least effect that would have been found four times in five, among so many comparisons (Bonferroni's level)."""
        if not self.stderr or self.df is None:
            return None
        level = 1 - (1 - CONFIDENCE) / (2 * comparisons)
        return (student.quantile(level, self.df) + student.quantile(POWER, self.df)) * self.stderr


def estimate(values: Mapping[int, Mapping[str, float]]) -> Estimate | None:
    """The mean of values by seed and problem, over the problems that every seed has; None where there are none."""
    seeds = sorted(values)
    shared = sorted(set.intersection(*(set(values[seed]) for seed in seeds))) if seeds else []
    if not shared:
        return None
    table = np.array([[values[seed][problem] for problem in shared] for seed in seeds])  # (S, n)
    mean = float(table.mean())
    parts = [_error(means) for means in (table.mean(axis=1), table.mean(axis=0)) if len(means) > 1]
    if not parts:
        return Estimate(mean, None, None, None, None, None, len(seeds), len(shared))
    variance = math.fsum(square for square, _ in parts)
    if variance <= _ROUNDING * max(1.0, float(np.abs(table).max())) ** 2:
        return Estimate(mean, 0.0, None, None, None, None, len(seeds), len(shared))
    df = variance**2 / math.fsum(square**2 / free for square, free in parts)
    stderr = math.sqrt(variance)
    reach = student.quantile((1 + CONFIDENCE) / 2, df) * stderr
    return Estimate(mean, stderr, mean - reach, mean + reach, student.two_sided(mean / stderr, df), df, len(seeds), len(shared))


_ROUNDING = 1e-24
"""Variances below this, of values of size one, are what adding up floats leaves."""


def _error(means: np.ndarray) -> tuple[float, int]:
    """Squared standard error of the mean of these means, and its degrees of freedom."""
    return float(means.var(ddof=1)) / len(means), len(means) - 1


def differences(new: Mapping[int, Mapping[str, float]], old: Mapping[int, Mapping[str, float]]) -> dict[int, dict[str, float]]:
    """new - old by seed and problem, where both have the seed and the problem."""
    return {
        seed: {problem: new[seed][problem] - old[seed][problem] for problem in new[seed].keys() & old[seed].keys()}
        for seed in new.keys() & old.keys()
    }


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values corrected for being many: p_(k) → max over j <= k of (m - j + 1) p_(j), at most 1 (Holm 1979).

    One that is None belongs to nothing that was tested, and stays so.
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    found: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        found[place] = highest
    return found
