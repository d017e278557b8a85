import pytest

from lib import records
from lib.controllers.schedule import Schedule
from lib.deciding import Seen
from lib.errors import UserError

PATH = "sampler.temperature"


def at(controller, number, rounds=3):
    return controller.decide(Seen(records.PROBLEMS.empty(), round=number, rounds=rounds)).settings[controller.setting]


@pytest.mark.parametrize(("t", "value"), [(0, 1.0), (50, 0.8681981), (100, 0.55), (200, 0.1), (300, 0.1)])
def test_cosine(t: int, value: float):
    assert at(Schedule(setting=PATH, course="cosine", start=1.0, end=0.1, over=200), t + 1) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("number", "value"), [(1, 1.0), (3, 0.75), (5, 0.5), (9, 0.5)])
def test_linear_over_the_rounds_planned(number: int, value: float):
    assert at(Schedule(setting=PATH, start=1.0, end=0.5), number, rounds=5) == pytest.approx(value)


@pytest.mark.parametrize(("number", "value"), [(1, 1.0), (2, 1.0), (4, 0.5), (6, 0.0), (8, 0.0)])
def test_piecewise(number: int, value: float):
    assert at(Schedule(setting=PATH, course="piecewise", points=((2, 1.0), (6, 0.0))), number) == pytest.approx(value)


def test_a_campaign_of_one_round_has_the_beginning():
    assert at(Schedule(setting=PATH, start=1.0, end=0.5), 1, rounds=1) == 1.0


def test_a_setting_that_counts_gets_whole_numbers():
    value = at(Schedule(setting="sampler.n", start=4, end=9, whole=True), 2, rounds=3)
    assert (value, type(value)) == (6, int)  # 6.5 to the even neighbour


@pytest.mark.parametrize(
    "settings", [{"course": "piecewise"}, {"points": ((1, 1.0),)}, {"course": "piecewise", "points": ((2, 1), (1, 1))}]
)
def test_points_belong_to_piecewise_courses_and_rise(settings: dict):
    with pytest.raises(UserError, match="piecewise"):
        Schedule(setting=PATH, **settings)
