import pytest

from lib.errors import UserError
from lib.evaluators.calibration import Calibration
from lib.verifiers.likelihood import Likelihood
from tests.evaluated import drawn, figures, items, values

SCORES = {"a": [0.9, 0.8, 0.35, 0.1], "b": [0.9, 0.4]}
OUTCOMES = {"a": "ccwc", "b": "wc"}


def confident(**settings):
    return Calibration(scorer=Likelihood(name="s", measure="p_true"), **settings)


def test_every_figure_has_the_value_worked_out_by_hand():
    found = values(confident(bins=2), drawn(SCORES, **OUTCOMES))
    # bins: (0, 0.5] has 0.35 w, 0.1 c, 0.4 c; (0.5, 1] has 0.9 c, 0.9 w, 0.8 c
    assert found["ece"] == pytest.approx((abs(2 - 0.85) + abs(2 - 2.6)) / 6)
    assert found["ece_mass"] == pytest.approx((abs(2 - 0.85) + abs(2 - 2.6)) / 6)
    brier_a = (0.01 + 0.04 + 0.1225 + 0.81) / 4
    assert found["brier"] == pytest.approx((brier_a + (0.81 + 0.36) / 2) / 2)
    # correct 0.9, 0.8, 0.4, 0.1 against wrong 0.9, 0.35: 1/2 + 1, 0 + 1, 0 + 1, 0 + 0 of 8
    assert found["auroc"] == pytest.approx(3.5 / 8)
    # wrong by falling confidence: 1/2, 1/2, 0, 0, 1, 0
    assert found["aurc"] == pytest.approx((0.5 + 0.5 + 1 / 3 + 1 / 4 + 2 / 5 + 2 / 6) / 6)


def test_a_score_on_the_edge_of_a_bin_belongs_to_the_lower_one():
    found = values(confident(bins=2), drawn({"a": [0.0, 0.5, 0.6]}, a="wcc"))
    assert found["ece"] == pytest.approx((abs(1 - 0.5) + abs(1 - 0.6)) / 3)


def test_the_order_of_equal_scores_does_not_matter():
    one, other = drawn({"a": [0.5] * 4}, a="ccww"), drawn({"a": [0.5] * 4}, a="wwcc")
    assert values(confident(), one) == values(confident(), other)
    assert values(confident(), one)["auroc"] == 0.5
    assert values(confident(), one)["aurc"] == pytest.approx(0.5)


def test_a_model_that_knows_has_no_error_and_no_risk_until_it_must():
    found = values(confident(), drawn({"a": [1.0, 0.0], "b": [1.0, 0.0]}, a="cw", b="cw"))
    assert (found["ece"], found["ece_mass"], found["brier"], found["auroc"]) == (0, 0, 0, 1)
    assert found["aurc"] == pytest.approx((0 + 0 + 1 / 3 + 2 / 4) / 4)


def test_errors_are_by_leaving_out_one_problem():
    tables = drawn({"a": [0.9, 0.2], "b": [0.7, 0.6], "c": [0.8, 0.3]}, a="cw", b="cw", c="wc")
    found = figures(confident(), tables)["auroc"]
    left = [1 / 4, 3 / 4, 4 / 4]  # without a, without b, without c: pairs won of 4, worked out one by one
    mean = sum(left) / 3
    assert found["stderr"] == pytest.approx((2 / 3 * sum((value - mean) ** 2 for value in left)) ** 0.5)


def test_what_has_no_score_or_no_outcome_is_left_out():
    tables = drawn({"a": [0.5, None, 0.5], "b": [0.5]}, a="ccu", b="u")
    assert items(confident(), tables, "brier") == {"a": 0.25}
    assert "auroc" not in values(confident(), tables)
    assert values(confident(), drawn(a="")) == {}


def test_a_score_that_is_no_probability_is_refused_with_the_remedy():
    with pytest.raises(UserError, match=r"'s' gave the score -3, which is no probability; take a scorer from 0 to 1, such as Likelihood"):
        confident().evaluate(drawn({"a": [0.5, -3.0]}, a="cw"))
