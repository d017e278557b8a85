import pytest

from lib.controllers.frontier import Frontier
from lib.deciding import Seen
from lib.errors import UserError
from tests.probes import probe


def chosen(controller, seed=0, **outcomes):
    tables = probe(**outcomes)
    return controller.decide(Seen(tables.problems, (tables,), seed=seed))


def test_the_band_keeps_what_is_solved_sometimes():
    found = chosen(Frontier(low=0.3, high=0.75), never="wwww", rarely="cwww", half="ccww", mostly="cccw", always="cccc")
    assert found.problems == ["half", "mostly"]
    assert found.state == {"too_easy": 1, "too_hard": 2, "chosen": 2}


def test_undecided_answers_do_not_count():
    assert chosen(Frontier(), p="cuuw", q="uuuu").problems == ["p"]


def test_weights_fall_to_nothing_at_both_ends():
    assert chosen(Frontier(by="weight"), never="ww", half="cw", always="cc").problems == ["half"]


def test_a_heavier_problem_is_drawn_more_often():
    # of two, the first is drawn with probability w1 / (w1 + w2) = 0.25 / (0.25 + 0.1875)
    times = sum(chosen(Frontier(by="weight", count=1), seed=seed, half="ccww", most="cccw").problems == ["half"] for seed in range(800))
    assert times / 800 == pytest.approx(4 / 7, abs=4 * (4 / 7 * 3 / 7 / 800) ** 0.5)


def test_count_is_the_most_that_are_chosen():
    assert len(chosen(Frontier(count=2), a="cw", b="cw", c="cw").problems) == 2


def test_no_fitting_problem_is_said():
    with pytest.raises(UserError, match="none has a pass rate"):
        chosen(Frontier(), p="cc", q="ww")


def test_a_band_upside_down_is_refused():
    with pytest.raises(UserError, match="above high"):
        Frontier(low=0.9, high=0.1)
