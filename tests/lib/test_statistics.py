import math
import random

import numpy as np
import pytest

from lib.statistics import (
    jackknife_error,
    mcnemar_exact,
    minimum_detectable_effect,
    paired_bootstrap,
    ratio_error,
    standard_error,
    wilson,
)


def test_standard_error_of_a_share_is_the_binomial_one_with_divisor_n_minus_1():
    values = [1.0] * 30 + [0.0] * 70
    assert standard_error(values) == pytest.approx(math.sqrt(0.3 * 0.7 / 99))
    assert standard_error([1.0]) is None


def test_the_bootstrap_interval_agrees_with_the_normal_one_and_with_itself():
    draw = random.Random(0)
    values = [draw.gauss(0.1, 0.4) for _ in range(500)]
    found = paired_bootstrap(values, seed=1)
    mean, error = sum(values) / 500, standard_error(values)
    assert found.low == pytest.approx(mean - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(mean + 1.96 * error, abs=0.1 * error)
    assert found == paired_bootstrap(values, seed=1)
    assert found != paired_bootstrap(values, seed=2)


def test_a_narrower_confidence_gives_a_narrower_interval():
    values = [float(i % 3) for i in range(60)]
    wide, narrow = paired_bootstrap(values, 0, 0.99), paired_bootstrap(values, 0, 0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(("first", "second", "p"), [(0, 0, 1.0), (3, 3, 1.0), (1, 9, 22 / 1024), (9, 1, 22 / 1024), (0, 5, 2 / 32)])
def test_mcnemar_sums_the_binomial_tail_twice(first, second, p):
    assert mcnemar_exact(first, second) == p


@pytest.mark.parametrize(
    ("found", "of", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
)
def test_the_interval_of_a_share_is_as_newcombe_published_it(found, of, low, high):
    """Newcombe 1998, Statistics in Medicine 17, table I, method 3."""
    assert wilson(found, of) == pytest.approx((low, high), abs=5e-5)


def test_the_detectable_effect_is_found_with_its_power():
    draw = random.Random(3)
    noise = [draw.gauss(0, 1) for _ in range(200)]
    effect = minimum_detectable_effect(noise)
    assert effect == pytest.approx((1.644854 + 0.841621) * standard_error(noise), rel=1e-5)
    found = 0
    for _ in range(1000):
        sample = [draw.gauss(effect, 1) for _ in range(200)]
        found += sum(sample) / 200 > 1.644854 * standard_error(sample)
    assert 0.74 < found / 1000 < 0.86
    assert minimum_detectable_effect([0.5]) is None


def test_a_ratios_error_is_that_of_its_linear_part():
    # R = 6/10; (a - R b) / mean b = (1 - 1.2) / 2.5, …; by hand
    parts = [(1.0, 2.0), (2.0, 3.0), (0.0, 1.0), (3.0, 4.0)]
    residuals = [(a - 0.6 * b) / 2.5 for a, b in parts]
    assert ratio_error(parts) == pytest.approx((sum(r * r for r in residuals) / 3 / 4) ** 0.5)
    assert ratio_error([(0.0, 0.0), (0.0, 0.0)]) is None
    assert ratio_error([(1.0, 2.0)]) is None


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = [1.0, 4.0, 2.0, 9.0]
    groups = [np.array([[value]]) for value in values]
    assert jackknife_error(groups, lambda rows: float(rows.mean())) == pytest.approx(standard_error(values))
    assert jackknife_error(groups[:1], lambda rows: float(rows.mean())) is None
    assert jackknife_error(groups, lambda rows: None) is None
