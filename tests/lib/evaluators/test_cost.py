import pytest

from lib.errors import UserError
from lib.evaluators.cost import Cost
from tests.evaluated import figures, given, items, values
from tests.filter_stage import completion, verdict


def spent(**lengths):
    """Problem → (tokens, outcome) of each completion."""
    rows = [(f"{name}{i}", name, n, said) for name, own in lengths.items() for i, (n, said) in enumerate(own)]
    completions = [completion(c, p, completion_ids=[1] * n) for c, p, n, _ in rows]
    return given(completions, [verdict(c, said) for c, _, _, said in rows])


TABLES = spent(a=[(10, "correct"), (30, "wrong"), (20, "correct")], b=[(40, "undecided"), (20, "correct")])


def test_a_correct_answer_pays_for_all_that_was_drawn():
    found = figures(Cost(), TABLES)
    assert found["tokens_per_correct"]["value"] == pytest.approx(120 / 3)
    residuals = [(60 - 40 * 2) / 1.5, (60 - 40 * 1) / 1.5]
    assert found["tokens_per_correct"]["stderr"] == pytest.approx(abs(residuals[0] - residuals[1]) / 2)
    assert items(Cost(), TABLES, "tokens_per_completion") == {"a": 20.0, "b": 30.0}


def test_accuracy_within_a_budget_counts_short_correct_ones():
    found = items(Cost(budgets=(15,)), TABLES, "accuracy_within_15")
    assert found == {"a": pytest.approx(1 / 3), "b": 0.0}
    assert items(Cost(budgets=(20,)), TABLES, "accuracy_within_20") == {"a": pytest.approx(2 / 3), "b": 1.0}


def test_nothing_correct_has_no_price():
    assert "tokens_per_correct" not in values(Cost(), spent(a=[(5, "wrong")]))
    with pytest.raises(UserError, match="a budget of 0 tokens"):
        Cost(budgets=(0,))
