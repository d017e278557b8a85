from itertools import pairwise

import pytest

from lib.filters.improved import Improved
from tests.filter_stage import completion, filtered, verdict

LINE = ["t0", "t1", "t2", "t3"]
COMPLETIONS = [
    completion("t0"),
    *(completion(name, parent_id=before, turn=i + 1) for i, (before, name) in enumerate(pairwise(LINE))),
]
SCORES = {"t0": 0.5, "t1": 0.2, "t2": 0.4, "t3": 1.0}


@pytest.mark.parametrize(
    ("settings", "reasons"),
    [
        ({"criterion": "all"}, {}),
        ({"criterion": "better"}, {"t1": "no better"}),
        ({"criterion": "best"}, {"t1": "not the best", "t2": "not the best"}),
        ({"criterion": "success"}, dict.fromkeys(("t0", "t1", "t2"), "no success")),
        ({"criterion": "better", "first": False}, {"t0": "first attempt", "t1": "no better"}),
    ],
)
def test_a_turn_stays_by_its_score_beside_those_before(tmp_path, settings, reasons):
    verdicts = [verdict(name, "correct" if score == 1 else "wrong", score=score) for name, score in SCORES.items()]
    assert filtered(tmp_path, [Improved(**settings)], COMPLETIONS, verdicts).dropped == reasons


def test_equal_is_best_and_not_better(tmp_path):
    verdicts = [verdict(name, score=1.0) for name in LINE]
    assert filtered(tmp_path / "best", [Improved(criterion="best")], COMPLETIONS, verdicts).dropped == {}
    found = filtered(tmp_path / "better", [Improved(criterion="better")], COMPLETIONS, verdicts).dropped
    assert found == dict.fromkeys(LINE[1:], "no better")


def test_what_is_undecided_falls_and_is_passed_over(tmp_path):
    verdicts = [verdict("t0", "wrong"), verdict("t1", "undecided"), verdict("t2")]
    assert filtered(tmp_path, [Improved()], COMPLETIONS, verdicts).dropped == {"t1": "undecided", "t3": "no verdict"}
