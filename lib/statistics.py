"""Errors of means and paired comparisons, over values per problem.

Values of one problem's samples are not independent of each other; their mean is one value here, so the problem is the
cluster and every formula below is over problems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.seeds import uniforms

_VALUES_AT_ONCE = 4_000_000
"""Resampled values held at once (32 MB)."""


class Interval(NamedTuple):
    """The two ends of a confidence interval."""

    low: float
    high: float


def standard_error(values: Sequence[float]) -> float | None:
    """Standard error of the mean, sqrt(sum (v - mean)^2 / (n - 1) / n); None below two values."""
    n = len(values)
    if n < 2:
        return None
    mean = math.fsum(values) / n
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)


def ratio_error(parts: Sequence[tuple[float, float]]) -> float | None:
    """Standard error of Σ a / Σ b over problems with (a, b), by the delta method; None below two or where Σ b is 0.

    It is that of the mean of (a - R b) / mean b, with R the ratio (Cochran 1977, chapter 6).
    """
    below = math.fsum(b for _, b in parts)
    if not below:
        return None
    ratio, mean = math.fsum(a for a, _ in parts) / below, below / len(parts)
    return standard_error([(a - ratio * b) / mean for a, b in parts])


def jackknife_error(groups: Sequence[NDArray[np.float64]], statistic: Callable[[NDArray[np.float64]], float | None]) -> float | None:
    """Standard error of a statistic of pooled rows, by leaving out one group (problem) at a time (Efron and Tibshirani 1993, chapter 11).

    sqrt((n - 1) / n Σ (θ_(-i) - mean)²) over n groups of rows (m_i, columns); None below two groups, or where leaving one
    out leaves no value.
    """
    n = len(groups)
    if n < 2:
        return None
    rows = np.concatenate(groups)
    ends = np.cumsum([len(group) for group in groups])
    found = [statistic(np.concatenate([rows[: end - len(group)], rows[end:]])) for end, group in zip(ends, groups, strict=True)]
    values = [value for value in found if value is not None]
    if len(values) < n:
        return None
    mean = math.fsum(values) / n
    return math.sqrt((n - 1) / n * math.fsum((value - mean) ** 2 for value in values))


def bootstrap_means(differences: Sequence[float], seed: int, draws: int = 10_000) -> NDArray[np.float64]:
    """Sorted means of `draws` samples drawn from the paired differences with replacement: (draws,)."""
    values = np.asarray(differences, dtype=np.float64)
    n = len(values)
    at_once = max(1, _VALUES_AT_ONCE // n)
    means = []
    for start in range(0, draws, at_once):
        shape = (min(at_once, draws - start), n)
        picks = uniforms([seed], start * n, shape[0] * n)[0] * n
        means.append(values[picks.astype(np.int64)].reshape(shape).mean(axis=1))
    return np.sort(np.concatenate(means))


def paired_bootstrap(differences: Sequence[float], seed: int, confidence: float = 0.95) -> Interval:
    """Two-sided percentile interval for the mean of paired differences (Efron and Tibshirani 1993, chapter 13).

    A little too narrow for few problems: by about the factor sqrt((n - 1) / n).
    """
    means = bootstrap_means(differences, seed)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def wilson(found: int, of: int, confidence: float = 0.95) -> Interval:
    """Two-sided interval for a share, (c ± z sqrt(p (1 - p) / n + z² / 4n²)) / (1 + z² / n), c = p + z² / 2n (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = found / of
    centre = share + z * z / (2 * of)
    half = z * math.sqrt(share * (1 - share) / of + (z / (2 * of)) ** 2)
    scale = 1 + z * z / of
    return Interval((centre - half) / scale, (centre + half) / scale)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided exact p value that two classifiers on the same problems are equally often right (McNemar 1947).

    Takes how many problems only the first and only the second solved: min(1, 2 P(X <= min)), X ~ Binomial(sum, 1/2).
    """
    total = only_first + only_second
    tail = sum(math.comb(total, i) for i in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**total)


def minimum_detectable_effect(differences: Sequence[float], confidence: float = 0.95, power: float = 0.8) -> float | None:
    """The least mean difference that a one-sided test at this confidence finds with this power: (z_conf + z_power) SE.

    The standard error is that of these differences, so it depends on them; None below two.
    """
    error = standard_error(differences)
    normal = NormalDist()
    return None if error is None else (normal.inv_cdf(confidence) + normal.inv_cdf(power)) * error
