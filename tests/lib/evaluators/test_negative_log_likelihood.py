import math

import pytest

from lib import records
from lib.evaluators.negative_log_likelihood import NegativeLogLikelihood
from lib.protocols import Tables
from lib.samplers.independent import Independent
from tests.filter_stage import completion, problem, verdict

LEARNT = {"a0": ("correct", -1.0), "a1": ("correct", -2.0), "a2": ("wrong", -5.0), "b0": ("correct", -3.0), "c0": ("wrong", -4.0)}


def measured(said, *more):
    completions = [completion(name, name[0], text=name) for name in said]
    verdicts = [verdict(name, outcome) for name, (outcome, _) in said.items()]
    verdicts += [{**verdict(name, None), "verifier": "likelihood", "score": score} for name, (_, score) in said.items()]
    verdicts += more
    tables = Tables(
        records.PROBLEMS.table([problem(name) for name in "abc"]), records.COMPLETIONS.table(completions), records.VERDICTS.table(verdicts)
    )
    return NegativeLogLikelihood(sampler=Independent()).evaluate(tables)


def values(found):
    return {row["metric"]: (row["value"], row["n"]) for row in found.metrics}


def test_right_and_wrong_solutions_are_means_over_problems_of_means_over_completions():
    found = values(measured(LEARNT))
    assert found["nll_correct"] == (pytest.approx((1.5 + 3.0) / 2), 2)
    assert found["nll_wrong"] == (pytest.approx((5.0 + 4.0) / 2), 2)


def test_the_items_are_the_problems():
    items = {(row["metric"], row["problem_id"]): row["value"] for row in measured(LEARNT).items}
    assert items == {("nll_correct", "a"): 1.5, ("nll_correct", "b"): 3.0, ("nll_wrong", "a"): 5.0, ("nll_wrong", "c"): 4.0}


def test_what_is_undecided_or_was_not_scored_counts_on_neither_side():
    found = values(measured(LEARNT | {"b0": ("undecided", -9.0), "a0": ("correct", None)}))
    assert found["nll_correct"] == (pytest.approx(2.0), 1)
    assert all(math.isfinite(value) for value, _ in found.values())


def test_nothing_to_score_gives_no_figure():
    assert measured({}).metrics == []


def test_verdicts_on_single_steps_are_none_on_the_whole():
    steps = [verdict("a0", "wrong", "judge", step=1), verdict("a0", None, "likelihood", step=1, score=-9.0)]
    assert values(measured(LEARNT, *steps)) == values(measured(LEARNT))
