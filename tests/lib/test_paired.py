"""Intervals over seeds and problems: worked numbers, and how often they hold what is true."""

import math

import numpy as np
import pytest
from scipy import stats

from lib.paired import differences, estimate, holm


def test_one_seed_is_the_t_interval_over_problems():
    values = [0.0, 1.0, 1.0, 0.5, 0.25, 0.0]
    found = estimate({0: dict(zip("abcdef", values, strict=True))})
    low, high = stats.t.interval(0.95, 5, loc=np.mean(values), scale=stats.sem(values))
    assert (found.seeds, found.problems) == (1, 6)
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), low, high))
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_seeds_and_problems_both_add_to_the_error():
    found = estimate({0: {"a": 0.0, "b": 0.4}, 1: {"a": 0.2, "b": 1.0}})
    # seed means 0.2 and 0.6: 0.08 / 2; problem means 0.1 and 0.7: 0.18 / 2
    assert found.stderr == pytest.approx(math.sqrt(0.04 + 0.09))
    assert found.df == pytest.approx(0.13**2 / (0.04**2 + 0.09**2))
    assert found.value == pytest.approx(0.4)


def test_without_seeds_that_differ_it_is_the_error_over_problems():
    row = {"a": 0.0, "b": 1.0, "c": 1.0}
    assert estimate({0: row, 1: row}).stderr == pytest.approx(estimate({0: row}).stderr)


def test_only_problems_that_every_seed_has_count():
    found = estimate({0: {"a": 1.0, "b": 0.0}, 1: {"b": 1.0, "c": 1.0, "a": 0.0}})
    assert (found.problems, found.value) == (2, 0.5)
    assert estimate({0: {"a": 1.0}, 1: {"b": 1.0}}) is None
    assert estimate({}) is None


@pytest.mark.parametrize("value", [0.0, 0.1, -0.25])
def test_what_does_not_vary_has_no_interval(value: float):
    found = estimate({seed: dict.fromkeys("abc", value) for seed in range(3)})
    assert found.value == pytest.approx(value)
    assert (found.stderr, found.low, found.high, found.p, found.smallest()) == (0.0, None, None, None, None)
    assert estimate({0: {"a": value}}).stderr is None


def test_differences_are_paired_by_seed_and_problem():
    new = {0: {"a": 1.0, "b": 0.5}, 1: {"a": 1.0}}
    old = {0: {"a": 0.5, "c": 0.5}, 2: {"a": 1.0}}
    assert differences(new, old) == {0: {"a": 0.5}}


def test_the_smallest_effect_grows_with_the_number_of_comparisons_and_is_found_with_its_power():
    draw = np.random.default_rng(5)
    found = estimate({0: dict(enumerate(draw.normal(0, 1, 200)))})
    effect = found.smallest()
    assert effect == pytest.approx((stats.t.ppf(0.975, 199) + stats.t.ppf(0.8, 199)) * found.stderr)
    assert found.smallest(10) == pytest.approx((stats.t.ppf(0.9975, 199) + stats.t.ppf(0.8, 199)) * found.stderr)
    seen = sum(estimate({0: dict(enumerate(draw.normal(effect, 1, 200)))}).p < 0.05 for _ in range(400))
    assert 0.72 < seen / 400 < 0.88


@pytest.mark.parametrize(("seeds", "of_seeds"), [(1, 0.0), (3, 0.0), (3, 0.02), (3, 0.05), (5, 0.02)])
def test_about_nineteen_intervals_in_twenty_hold_the_true_difference(seeds: int, of_seeds: float):
    """With seeds that differ by as much as the problems' error, and by more; a percentile bootstrap has 0.84 to 0.91 of three."""
    draw = np.random.default_rng(11)
    names = [str(number) for number in range(100)]
    held = 0
    for _ in range(500):
        cells = draw.normal(0.1, 0.3, 100) + of_seeds * draw.normal(size=(seeds, 1)) + draw.normal(0, 0.3, (seeds, 100))
        found = estimate({seed: dict(zip(names, row, strict=True)) for seed, row in enumerate(cells)})
        held += found.low <= 0.1 <= found.high
    assert 0.92 < held / 500 < 0.995


def test_holm_multiplies_the_smallest_by_all_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03, None]) == [pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.06), None]
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_finds_something_among_nothing_in_at_most_one_family_of_twenty():
    draw = np.random.default_rng(2)
    false = sum(min(holm(list(draw.uniform(size=10)))) <= 0.05 for _ in range(1000))
    assert false / 1000 < 0.07
