"""What verifiers with models share: templates filled once, win rates, class scores."""

import math

import pytest

from lib.errors import UserError
from lib.verifiers import scores
from lib.verifiers.steps import steps_of
from tests.filter_stage import completion


def test_a_template_is_filled_once_and_other_braces_stay():
    filled = scores.filled("{prompt} {completion} {x} {}", {"prompt": "{completion}", "completion": "{prompt}"})
    assert filled == "{completion} {prompt} {x} {}"


def test_a_long_text_is_shown_by_its_end():
    shown = scores.shown("a" * 30_000 + "end")
    assert shown.startswith("…a") and shown.endswith("end")
    assert len(shown) == scores.LONGEST_TEXT + 1
    assert scores.shown("a\0b") == "a b"


def test_win_rates_count_oneself_as_a_half_and_leave_out_whom_one_could_not_meet():
    wins = {(0, 1): 1.0, (1, 0): 0.0, (0, 2): None, (2, 0): None, (1, 2): 0.5, (2, 1): 0.5}
    assert scores.win_rates(wins, [0, 1, 2]) == {0: 0.75, 1: pytest.approx(1 / 3), 2: 0.5}
    chances = {(0, 1): 0.7, (0, 2): 0.9, (1, 0): 0.3, (1, 2): 0.6, (2, 0): 0.1, (2, 1): 0.4}
    assert scores.win_rates(chances, [0, 1, 2]) == pytest.approx({0: 0.7, 1: 0.4666667, 2: 0.3333333}, abs=1e-7)
    assert scores.win_rates({}, [7]) == {7: 0.5}
    assert scores.win_rates({}, [7, 8]) == {}


def test_a_group_is_in_the_order_of_ids_and_leaves_out_what_was_not_sampled():
    rows = [completion("b", group_id="g"), completion("x", group_id="g", finish_reason="error"), completion("a", group_id="g")]
    assert scores.groups_of([*rows, completion("c", group_id="h")]) == [[2, 0], [3]]


def test_one_logit_is_itself_and_several_are_a_probability():
    assert scores.class_score([-3.5], 1, of="v") == -3.5
    assert scores.class_score([0.0, math.log(3)], 1, of="v") == pytest.approx(0.75)
    assert scores.class_score([1000.0, -1000.0], 0, of="v") == 1.0
    with pytest.raises(UserError, match="v: the model has 2 classes and none numbered 2"):
        scores.class_score([0.0, 0.0], 2, of="v")


@pytest.mark.parametrize("value", [-1e6, -2.0, 0.0, 2.0, 1e6])
def test_the_logistic_function_is_symmetric_everywhere(value):
    assert scores.logistic(value) + scores.logistic(-value) == pytest.approx(1)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, None])
def test_a_score_that_is_no_number_is_undecided(score):
    row = scores.verdict({"completion_id": "c"}, "v", score, "why")
    assert (row["score"], row["outcome"]) == (None, "undecided")


def test_steps_are_the_pieces_that_are_not_blank():
    assert steps_of("a\n\n b \n \n", "\n") == ["a", "b"]
    assert steps_of("", "\n") == []
