"""Values of steps, against numbers worked out by hand."""

import pytest

from lib.filters.tree_values import Draw, step_values


def chain(*outcomes, steps=4):
    """One draw after another, each continuing the one before, of `steps` steps in all."""
    names = "abcdefgh"
    return [Draw(names[i], names[i - 1] if i else None, names[i].upper(), i + 1, steps - i - 1, told) for i, told in enumerate(outcomes)]


def test_along_right_steps_the_value_rises_evenly():
    assert step_values(chain(*["correct"] * 4), "inferred") == {"A": 0.25, "B": 0.5, "C": 0.75, "D": 1.0}


def test_off_the_way_the_value_falls_by_the_span_of_the_last_right_step():
    found = step_values(chain("correct", "wrong", "wrong"), "inferred")
    assert found == {"A": 0.25, "B": pytest.approx(0.0625), "C": 0.0}  # 0.0625 - 0.9375 / 4 < 0


def test_the_shortest_way_on_decides():
    draws = [Draw("a", None, "A", 1, 3, "correct"), Draw("b", "a", "B", 2, 0, "correct"), Draw("c", "a", "C", 2, 2, "correct")]
    assert step_values(draws, "inferred") == {"A": 0.5, "B": 1.0, "C": pytest.approx(0.5 + 0.5 / 3)}


def test_a_step_is_right_by_what_was_found_below_it():
    draws = [Draw("a", None, "A", 1, 1, "wrong"), Draw("b", "a", "B", 2, 1, "correct")]
    assert step_values(draws, "inferred") == {"A": pytest.approx(1 / 3), "B": pytest.approx(1 / 3 + (2 / 3) / 2)}


def test_what_leads_nowhere_is_worth_nothing():
    assert step_values(chain("wrong", "wrong"), "inferred") == {"A": 0.0, "B": 0.0}


@pytest.mark.parametrize("unknown", ["undecided", "no verdict", "scored"])
def test_an_undecided_draw_is_no_wrong_one(unknown):
    draws = [*chain("wrong", unknown, "wrong"), Draw("z", None, "Z", 1, 0, "wrong")]
    assert step_values(draws, "inferred") == {"A": None, "B": None, "C": None, "Z": 0.0}
    assert step_values(chain(unknown, "correct"), "inferred")["A"] == pytest.approx(1 / 4)
    assert step_values(chain(unknown), "soft") == {"A": None}


def test_draws_of_one_step_decide_together():
    draws = [Draw("a", None, "A", 1, 3, "wrong"), Draw("b", None, "A", 1, 1, "correct"), Draw("c", "a", "C", 2, 0, "wrong")]
    assert step_values(draws, "inferred") == {"A": 0.5, "C": pytest.approx(0.5 - 0.5 / 2)}
    assert step_values(draws, "soft") == {"A": pytest.approx(1 / 3), "C": 0.0}


def test_shares_count_a_steps_own_draws_and_its_childrens_alone():
    draws = [
        Draw("a", None, "A", 1, 2, "wrong"),
        Draw("b", "a", "B", 2, 1, "correct"),
        Draw("c", "a", "C", 2, 1, "wrong"),
        Draw("d", "a", "D", 2, 1, "undecided"),
        Draw("e", "b", "E", 3, 0, "correct"),
    ]
    assert step_values(draws, "soft") == {"A": pytest.approx(1 / 3), "B": 1.0, "C": 0.0, "D": None, "E": 1.0}
    assert step_values(draws, "hard") == {"A": 1.0, "B": 1.0, "C": 0.0, "D": None, "E": 1.0}


def test_a_step_without_its_parent_has_no_inferred_value():
    assert step_values([Draw("b", "gone", "B", 2, 0, "correct")], "inferred") == {"B": None}
