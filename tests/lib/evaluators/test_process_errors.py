import pytest

from lib.evaluators.process_errors import ProcessErrors
from lib.samplers.independent import Independent
from lib.verifiers.process import Process
from tests.evaluated import figures, given, items, values
from tests.filter_stage import completion, verdict


def judged(gold, said):
    """Completions with the gold outcome (c, w, u) and the scorer's score of every step; the first letter is the problem."""
    word = {"c": "correct", "w": "wrong", "u": "undecided"}
    verdicts = [verdict(name, word[o], "gold", step=i) for name, steps in gold.items() for i, o in enumerate(steps, 1)]
    verdicts += [verdict(name, None, "s", step=i, score=s) for name, steps in said.items() for i, s in enumerate(steps, 1)]
    return given([completion(name, name[0]) for name in gold], verdicts)


EVALUATOR = ProcessErrors(sampler=Independent(), scorer=Process(name="s"))
GOLD = {"a0": "cwc", "a1": "ccc", "b0": "wcc", "b1": "cc", "c0": "cw"}
SAID = {"a0": [0.9, 0.1, 0.2], "a1": [0.9, 0.5, 0.9], "b0": [0.9, 0.1, 0.1], "b1": [0.2, 0.9], "c0": [0.9, 0.4]}


def test_f1_is_of_locating_the_first_error_and_of_finding_none():
    found = values(EVALUATOR, judged(GOLD, SAID))
    a, b = 2 / 3, 1 / 2  # a0 and c0 located, b0 not; a1 clean, b1 accused
    assert found["process_f1"] == pytest.approx(2 * a * b / (a + b))
    assert items(EVALUATOR, judged(GOLD, SAID), "error_located") == {"a": 1.0, "b": 0.0, "c": 1.0}
    assert items(EVALUATOR, judged(GOLD, SAID), "no_error") == {"a": 1.0, "b": 0.0}
    assert items(EVALUATOR, judged(GOLD, SAID), "step_accuracy") == pytest.approx({"a": 5 / 6, "b": 1 / 5, "c": 1.0})


def test_its_error_is_by_leaving_out_one_problem():
    found = figures(EVALUATOR, judged(GOLD, SAID))["process_f1"]
    left = [2 * 0.5 * 0 / 0.5, 1.0, 2 * 0.5 * 0.5 / 1.0]  # without a: a = 1/2, b = 0; without b: 1 and 1; without c: 1/2 and 1/2
    mean = sum(left) / 3
    assert found["stderr"] == pytest.approx((2 / 3 * sum((value - mean) ** 2 for value in left)) ** 0.5)


def test_what_the_scorer_leaves_undecided_it_has_not_found_and_undecided_gold_is_left_out():
    found = values(EVALUATOR, judged({"a0": "cw", "a1": "cu", "b0": "cc"}, {"a0": [None, None], "a1": [1, 0]}))
    assert (found["error_located"], found["no_error"]) == (0.0, 0.0)
    assert found["process_f1"] == 0.0
    assert items(EVALUATOR, judged({"a1": "cu"}, {"a1": [1, 0]}), "step_accuracy") == {"a": 1.0}


def test_one_kind_of_solution_alone_has_no_f1():
    assert "process_f1" not in values(EVALUATOR, judged({"a0": "cc"}, {"a0": [1, 1]}))
