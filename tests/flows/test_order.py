"""Which round comes next, whatever a kill left behind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from flows.desk import Desk, ground_of
from flows.improve import next_round
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.home import Home
from lib.plan import Ground
from lib.round_record import RoundRecord

BASE, ONE, TWO, THREE = ({"policy": name} for name in ("b", "m1", "m2", "m3"))


@pytest.fixture
def desk(home: Home) -> SimpleNamespace:
    """A campaign of two attempts a round, with its base measured."""
    folder = CampaignFolder(home, "one")
    campaign = Campaign("one", "star", {}, 0, ProblemPlan({}, {}), BASE, attempts=2)
    folder.write_round(RoundRecord("one", 0, 1, "accepted", start=BASE))
    return SimpleNamespace(folder=folder, campaign=campaign)


def done(desk: SimpleNamespace, number: int, start: dict, made: dict, state: str = "accepted", attempt: int = 1) -> None:
    desk.folder.write_round(RoundRecord("one", number, attempt, state, start=start, made=made))


def test_rounds_follow_each_other_to_the_goal(desk: SimpleNamespace):
    assert next_round(desk, 0) is None
    assert next_round(desk, 2) == (1, 1)
    done(desk, 1, BASE, ONE)
    assert next_round(desk, 2) == (2, 1)
    done(desk, 2, ONE, TWO)
    assert next_round(desk, 2) is None


def test_an_unfinished_round_is_the_next(desk: SimpleNamespace):
    done(desk, 1, BASE, ONE, "running")
    assert next_round(desk, 1) == (1, 1)


def test_a_rejected_round_is_tried_again_and_then_passed(desk: SimpleNamespace):
    done(desk, 1, BASE, ONE, "rejected")
    assert next_round(desk, 3) == (1, 2)
    done(desk, 1, BASE, ONE, "rejected", attempt=2)
    assert next_round(desk, 3) == (2, 1)
    done(desk, 2, BASE, TWO)
    assert next_round(desk, 3) == (3, 1)


def test_a_round_that_is_missing_in_the_middle_is_made_again(desk: SimpleNamespace):
    done(desk, 1, BASE, ONE)
    done(desk, 3, TWO, THREE)
    assert Desk.set_stale_aside(desk) == [3]  # it stands on a model that nothing before it ends in
    assert next_round(desk, 3) == (2, 1)


def test_what_stands_on_a_replaced_model_is_set_aside_and_kept(desk: SimpleNamespace):
    done(desk, 1, BASE, {"policy": "another"})
    done(desk, 2, ONE, TWO)
    done(desk, 3, TWO, THREE)
    desk.folder.write_test([{"round": 3}])
    assert Desk.set_stale_aside(desk) == [2, 3]
    assert [record.round for record in desk.folder.finished()] == [0, 1]
    assert desk.folder.test() == []
    assert len(list(desk.folder.path.rglob("*superseded*"))) == 3


def test_the_warm_start_is_no_earlier_round(desk: SimpleNamespace):
    """Its examples come by replay; accumulated as well, they would be learned twice."""
    stage = {"verb": "train", "jobs": [], "made": {}, "learned": {}}
    for number, examples in ((0, "warm"), (1, "first")):
        stages = {"main/train": {**stage, "read": {"problems": ["p"], "examples_sft": [examples]}}}
        desk.folder.write_round(RoundRecord("one", number, 1, "accepted", start=BASE, made=ONE, stages=stages))
    desk.campaign.recipe.update({"engine": {}, "phases": [{"name": "main", "role": "policy"}]})
    ground = ground_of(desk.folder, desk.campaign, ("p",), {}, 2, 1)
    assert read(ground, "all") == {1: ("first",)}


def read(ground: Ground, kind: str) -> dict[int, tuple[str, ...]]:
    """Round → the examples that its train stage read."""
    return {number: result.every("examples_sft") for number, result in ground.earlier["main/train"][kind].items()}


def test_all_attempts_at_a_round_are_one_earlier_round(desk: SimpleNamespace):
    for number, attempt, state in ((1, 1, "rejected"), (1, 2, "accepted"), (2, 1, "rejected"), (3, 1, "rejected")):
        stages = {
            "main/train": {"verb": "train", "jobs": [], "made": {}, "learned": {}, "read": {"examples_sft": [f"e{number}.{attempt}"]}}
        }
        desk.folder.write_round(RoundRecord("one", number, attempt, state, start=BASE, made=ONE, stages=stages))
    desk.campaign.recipe.update({"engine": {}, "phases": [{"name": "main", "role": "policy"}]})
    ground = ground_of(desk.folder, desk.campaign, ("p",), {}, 3, 2)
    assert read(ground, "all") == {1: ("e1.1", "e1.2"), 2: ("e2.1",), 3: ("e3.1",)}
    assert read(ground, "accepted") == {1: ("e1.2",)}


def test_a_whole_campaign_is_left_as_it_is(desk: SimpleNamespace):
    done(desk, 1, BASE, ONE, "rejected")
    done(desk, 2, BASE, TWO)
    assert Desk.set_stale_aside(desk) == []
    assert len(desk.folder.finished()) == 3


def decided(desk: SimpleNamespace, number: int, state: str, **more) -> None:
    """A round whose controller left a state, and whose trainer accumulates."""
    stages = {
        "main/bandit": {"verb": "control", "jobs": [], "made": {"state": [state]}, "read": {}, "learned": {}},
        "main/train": {"verb": "train", "jobs": [], "made": {}, "read": {"examples_sft": [f"e{number}"]}, "learned": {}},
    }
    stages["main/train"] |= more.pop("train", {})
    start, made = (BASE, ONE, TWO, THREE)[number - 1 : number + 1]
    desk.folder.write_round(RoundRecord("one", number, 1, "accepted", start=start, made=made, stages=stages, **more))


def test_what_began_with_another_state_is_set_aside_though_the_model_is_the_same(desk: SimpleNamespace):
    decided(desk, 1, "s1")
    decided(desk, 2, "s2", inherited={"main/bandit": {"state": ["s1"]}})
    decided(desk, 3, "s3", inherited={"main/bandit": {"state": ["s2"]}})
    assert Desk.set_stale_aside(desk) == []
    decided(desk, 2, "another", inherited={"main/bandit": {"state": ["s1"]}})
    assert Desk.set_stale_aside(desk) == [3]
    decided(desk, 1, "another")
    assert Desk.set_stale_aside(desk) == [2]


def test_what_learned_examples_of_a_round_that_has_others_now_is_set_aside(desk: SimpleNamespace):
    decided(desk, 1, "s")
    decided(desk, 2, "s", train={"learned": {"examples": ["e1", "e2"]}})
    assert Desk.set_stale_aside(desk) == []
    decided(desk, 1, "s", train={"read": {"examples_sft": ["another"]}})
    assert Desk.set_stale_aside(desk) == [2]
