"""What was typed: as an opening, as options again, and as a plan of what is still to run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.asking import Asked
from flows.planning import plan
from lib import opened
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.errors import UserError
from lib.home import Home
from lib.opening import Opening
from lib.round_record import RoundRecord

SMALL = Asked("one", settings=["trainer.steps=4"], seed=0, count=40, held_out=8, warm_steps=30, rounds=2)


def begin(home: Home, asked: Asked) -> CampaignFolder:
    """campaign.json as the command would write it, with no model made."""
    opening, folder = asked.opening(), CampaignFolder(home, asked.campaign)
    recipe, source = opening.preview()
    problems = ProblemPlan(source.model_dump(mode="json"), opening.counted(source))
    folder.create(Campaign("one", "r", recipe.dump(), 0, problems, {}, rounds=opening.rounds, opening=opened.record(opening)))
    return folder


def planned(asked: Asked, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    plan(asked, as_json=True)
    return json.loads(capsys.readouterr().out)


def places(rows: list[dict[str, Any]]) -> list[str]:
    return [f"{row['when']}: {row['stage']}" for row in rows]


ROUND = ("main/sample", "main/train", "evaluate/validation", "evaluate/gate")


def test_options_are_typed_again_as_they_were():
    asked = Asked("one", "star", ["a=1", "b=2"], rounds=0, seed=0, numbers=4, same_problems=True)
    assert asked.words() == [
        "--recipe", "star", "--set", "a=1", "--set", "b=2", "--rounds", "0", "--seed", "0", "--numbers", "4", "--same-problems",
    ]  # fmt: skip
    assert asked.given() == {"recipe", "set", "seed", "numbers", "same-problems"}
    assert Asked().opening() == Opening()


def test_the_same_options_continue_a_campaign_and_others_are_refused(home: Home):
    begin(home, SMALL)
    assert SMALL.checked(home).exists
    assert Asked("one", rounds=9).checked(home).exists
    with pytest.raises(UserError, match="'one' was begun with --seed 0, and --seed 1 is asked for"):
        Asked("one", seed=1).checked(home)


def test_the_plan_of_a_new_campaign_has_all_of_it(home: Home, capsys: pytest.CaptureFixture[str]):
    rows = planned(SMALL, capsys)
    assert places(rows) == [
        "begin: base/warm start", "base model: evaluate/validation", "base model: evaluate/gate",
        *(f"round {n}: {stage}" for n in (1, 2) for stage in ROUND), "closing: evaluate/test", "total: ",
    ]  # fmt: skip
    assert rows[0]["steps"] == 30
    assert rows[-1]["steps"] == 30 + 2 * 4
    assert rows[-2]["completions"] == 3 * 8 * (8 + 1)
    assert not home.campaigns.exists()


def test_no_rounds_are_the_base_model_alone(home: Home, capsys: pytest.CaptureFixture[str]):
    rows = planned(Asked("one", rounds=0), capsys)
    assert places(rows) == ["begin: base/warm start", "base model: evaluate/validation", "base model: evaluate/gate", "total: "]


def test_the_plan_of_a_campaign_that_stopped_has_what_is_left(home: Home, capsys: pytest.CaptureFixture[str]):
    folder = begin(home, SMALL)
    for number in (0, 1):
        folder.write_round(RoundRecord("one", number, 1, "accepted"))
    assert places(planned(SMALL, capsys)) == [*(f"round 2: {stage}" for stage in ROUND), "closing: evaluate/test", "total: "]
    folder.write_round(RoundRecord("one", 2, 1, "accepted"))
    for number in (0, 1, 2):
        folder.write_round(RoundRecord("one", number, 1, "accepted", stages={"evaluate/test": {}}))
    assert places(planned(Asked("one"), capsys)) == ["total: "]
    with pytest.raises(UserError, match="--seed 1"):
        plan(Asked("one", seed=1), as_json=True)
