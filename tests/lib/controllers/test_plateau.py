import pytest

from lib import records
from lib.controllers.plateau import Plateau
from lib.deciding import Past
from lib.errors import UnknownName


def past(number, values, accepted=True, alarms=(), metric="pass_at_1"):
    """A round whose model has these values, one a problem."""
    place = {"model_id": "m", "split": "validation", "evaluator": "PassAtK", "metric": metric}
    items = records.METRIC_ITEMS.table([{**place, "problem_id": f"p{i:03}", "value": value} for i, value in enumerate(values)])
    return Past(number, accepted, items, alarms)


def campaign(*means, **more):
    """Rounds from 0 on in which that share of 100 problems is solved: the first ones."""
    return [past(number, [float(i < 100 * mean) for i in range(100)], **more) for number, mean in enumerate(means)]


def test_rounds_that_gain_go_on():
    assert Plateau(rounds=2).stop(campaign(0.1, 0.3, 0.5, 0.7), 0) == ""


def test_rounds_without_a_gain_stop():
    reason = Plateau(rounds=2).stop(campaign(0.1, 0.5, 0.5, 0.5), 0)
    assert reason == "no gain of pass@1 above 0 in 2 rounds (the best difference to round 1 is +0.000, at 95% confidence)"


def test_fewer_rounds_than_are_looked_at_never_stop():
    assert Plateau(rounds=3).stop(campaign(0.5, 0.5, 0.5), 0) == ""


def test_a_gain_in_any_of_the_rounds_goes_on():
    assert Plateau(rounds=2).stop(campaign(0.1, 0.5, 0.2), 0) == ""


def test_a_gain_no_larger_than_asked_for_stops():
    found = campaign(0.1, 0.1, 0.3)
    assert Plateau(rounds=1, least_gain=0.1).stop(found, 0) == ""  # the lower bound of 20 in 100 is about 0.14
    assert Plateau(rounds=1, least_gain=0.19).stop(found, 0)


def test_a_gain_that_may_be_noise_stops():
    # one problem of 100 gained: of 100 drawn with replacement, none is that one with probability 0.99^100 = 0.37 > 0.05
    assert Plateau(rounds=1).stop(campaign(0.50, 0.51), 0)


def test_a_rejected_round_gains_nothing():
    rounds = [past(0, [0.0] * 9), past(1, [1.0] * 9, accepted=False)]
    assert "none of them was accepted" in Plateau(rounds=1).stop(rounds, 0)


@pytest.mark.parametrize(("level", "stops"), [("alarm", True), ("watch", False)])
def test_an_alarm_of_collapse_stops(level: str, stops: bool):
    ringing = {"alarm": "entropy", "level": level, "sentence": "0.01 nats a token."}
    rounds = [*campaign(0.1, 0.3), past(2, [1.0] * 100, alarms=[ringing])]
    assert bool(Plateau(rounds=2).stop(rounds, 0)) == stops


def test_what_it_stopped_at_is_no_reason_to_stop_again():
    ringing = {"alarm": "entropy", "level": "alarm", "sentence": "0.01 nats a token."}
    assert Plateau(rounds=1).stop([past(3, [0.5] * 9, alarms=[ringing])], 0) == ""


def test_an_unknown_metric_is_named():
    with pytest.raises(UnknownName, match="pass_at_1"):
        Plateau(rounds=1, metrics=("pass_at1",)).stop(campaign(0.1, 0.1), 0)


def test_an_unknown_alarm_is_refused():
    with pytest.raises(UnknownName, match="entropy"):
        Plateau(collapse=("entropi",))
