"""Student's t distribution, for intervals whose standard error was itself measured on few values."""

from __future__ import annotations

import math

_TINY = 1e-300
_TERMS = 500


def two_sided(t: float, df: float) -> float:
    """P(|T| >= |t|) of Student's t with df > 0 degrees of freedom: I_x(df / 2, 1 / 2) with x = df / (df + t²)."""
    return _beta(df / (df + t * t), df / 2, 0.5)


def quantile(share: float, df: float) -> float:
    """The t below which a share of the distribution lies, 0.5 <= share < 1."""
    tail, low, high = 2 * (1 - share), 0.0, 1.0
    while two_sided(high, df) > tail:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, df) > tail else (low, middle)
    return (low + high) / 2


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b) by its continued fraction (Abramowitz and Stegun 1964, 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly
        return 1 - _beta(1 - x, b, a)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)) / a
    return front / _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """1 + d₁ / (1 + d₂ / (1 + …)), evaluated by the modified method of Lentz (1976)."""
    value, above, below = 1.0, 1.0, 0.0
    for term in range(1, _TERMS):
        m = term // 2
        d = (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
            if term % 2 == 0
            else -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        )
        below = 1 / (1 + d * below or _TINY)
        above = 1 + d / above or _TINY
        value *= above * below
        if abs(above * below - 1) < 1e-15:
            break
    return value
