import pytest
from pydantic import ValidationError

from lib.evaluators.by_difficulty import ByDifficulty
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.negative_log_likelihood import NegativeLogLikelihood
from lib.evaluators.pass_at_k import PassAtK
from lib.samplers.independent import Independent
from tests.lib.evaluators.test_pass_at_k import drawn


def test_a_name_begins_every_metric_so_that_two_of_a_kind_can_be_told_apart():
    tree = PassAtK(k=(1,), sampler=Independent(n=2), name="tree")
    found = tree.evaluate(drawn(a="cw"))
    assert {row["metric"] for row in found.metrics} == {
        f"tree_{metric}"
        for metric in ("pass_at_1", "pass_at_1_left_out", "distinct_correct", "undecided_share", "truncated_share", "mean_tokens")
    }
    assert {row["metric"] for row in found.items} == {row["metric"] for row in found.metrics}
    assert tree.metrics == {"tree_pass_at_1", "tree_distinct_correct"}


@pytest.mark.parametrize(
    ("evaluator", "metrics"),
    [
        (PassAtK(k=(1, 4)), {"pass_at_1", "pass_at_4", "distinct_correct"}),
        (GreedyAccuracy(name="own"), {"own_greedy_accuracy"}),
        (ByDifficulty(), set()),
        (NegativeLogLikelihood(sampler=Independent()), {"nll_correct", "nll_wrong"}),
    ],
)
def test_every_evaluator_says_what_it_measures_problem_by_problem(evaluator, metrics):
    assert evaluator.metrics == metrics


def test_a_name_has_letters_digits_and_underscores_alone():
    with pytest.raises(ValidationError, match="pattern"):
        PassAtK(name="a/b")
