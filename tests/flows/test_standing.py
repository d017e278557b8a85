"""Where campaigns stand, from the files that they leave."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from flows import wording
from flows.standing import Standing, every
from flows.terminal import bar
from lib import ending
from lib.campaign import CampaignFolder
from lib.errors import UserError
from lib.home import Home
from lib.job import Label
from tests.begun_campaign import begun, ended, tell
from tests.flows.conftest import ROOT, environment


def state(folder: CampaignFolder) -> tuple[str, str | None]:
    facts = Standing(folder).facts()
    return facts["state"], facts["reason"]


def test_a_campaign_that_nobody_runs_is_idle_until_its_test_figures_are_there(home: Home):
    folder = begun(home)
    assert state(folder) == ("idle", None)
    for number in (0, 1, 2):
        ended(folder, number)
    assert state(folder) == ("idle", None)
    folder.write_test([{}])
    assert state(folder) == ("complete", None)


def test_rounds_beyond_any_plan_are_counted_alone_and_the_next_is_asked_for_by_number(home: Home):
    folder = begun(home)
    goal = folder.goal
    for number in range(goal + 2):
        ended(folder, number)
    said = wording.summary(Standing(folder).facts())
    assert f"round {goal + 1}" in said[0] and " of " not in said[0]
    assert f"  go on with: roundhouse improve {folder.name} --rounds {goal + 2}" in said
    folder.aim(goal + 3)
    said = wording.summary(Standing(folder).facts())
    assert f"round {goal + 1} of {goal + 3}" in said[0]
    assert f"  go on with: roundhouse improve {folder.name}" in said


def test_after_the_last_round_the_same_command_closes_and_a_closed_campaign_needs_a_number(home: Home):
    folder = begun(home)
    for number in range(folder.goal + 1):
        ended(folder, number)
    onward = f"  go on with: roundhouse improve {folder.name}"
    assert onward in wording.summary(Standing(folder).facts())
    folder.write_test([{}])
    with pytest.raises(UserError), folder.hold(wait=False), ending.noted(folder.path):
        raise UserError("round 9 has no model")
    assert f"  {onward} --rounds {folder.goal + 1}" in wording.summary(Standing(folder).facts())


def test_a_figure_of_a_model_that_was_rejected_says_so(home: Home):
    folder = begun(home)
    ended(folder, 0)
    ended(folder, 1, "rejected")
    assert any(line.startswith("  round 1's model (rejected) on validation: ") for line in wording.summary(Standing(folder).facts()))


def test_the_last_failure_is_said_until_the_next_run_begins(home: Home):
    folder = begun(home)
    with pytest.raises(UserError), folder.hold(wait=False), ending.noted(folder.path):
        raise UserError("no room for it; make some")
    assert state(folder) == ("failed", "no room for it; make some")
    with folder.hold(wait=False), ending.noted(folder.path):
        assert state(folder) == ("running", None)
    assert state(folder) == ("idle", None)


def test_a_holder_that_was_killed_is_told_from_one_that_ended(home: Home):
    folder = begun(home)
    code = (
        "import os, sys; from pathlib import Path; from lib.home import Home; from lib.campaign import CampaignFolder\n"
        "with CampaignFolder(Home(Path(sys.argv[1])), 'one').hold(wait=False): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(home.root)], cwd=ROOT, env=environment(home, None), check=False)
    assert state(folder) == ("stopped", "its process ended without a word")


def test_a_beginning_that_failed_is_shown_with_its_reason_and_the_way_on(home: Home):
    folder = CampaignFolder(home, "new")
    with pytest.raises(UserError), folder.hold(wait=False), ending.noted(folder.path):
        raise UserError("has no tokenizer; give a folder that has one")
    assert [found.name for found in every(home)] == ["new"]
    facts = Standing(folder).facts()
    assert facts["state"] == "beginning failed"
    assert "\n".join(wording.summary(facts)).endswith("has no tokenizer; give a folder that has one\n    the same command begins it")


def test_the_base_model_and_the_problems_are_said_while_they_are_made(home: Home):
    folder = CampaignFolder(home, "new")
    with folder.hold(wait=False):
        assert wording.at_work(Standing(folder).facts())[0].startswith("new starts (process ")
        for label, words in (
            (Label("new", 0, "base", "initialise"), "makes its base model: base/initialise"),
            (Label("new", 1, "problems", "train"), "draws problems for the base model"),
            (Label("new", 0, "main", "train"), "makes its base model: main/train"),
            (Label("new", 0, "problems", "gate"), "draws problems for gate"),
        ):
            tell(folder, label, 0.5)
            assert wording.stage(Standing(folder).facts()) == words


def test_time_left_is_the_rates_at_first_and_the_pace_of_the_stage_later(home: Home):
    folder = begun(home)
    ended(folder, 0)
    with folder.hold(wait=False):
        tell(folder, Label("one", 1, "main", "train"), 0.0)
        facts = Standing(folder).facts()
        assert facts["now"]["stage_seconds_left"] == pytest.approx(700 * 0.045)  # the recipe's steps at the built-in model's rate
        assert [step.get("stage") or f"round {step['round']}" for step in facts["next"]] == [
            "evaluate/validation",
            "evaluate/gate",
            "round 2",
        ]
        assert facts["now"]["round_seconds_left"] > facts["now"]["stage_seconds_left"]
        since = time.time() - 100
        folder.write_progress({**(folder.progress() or {}), "share": 0.5, "since": since})
        assert Standing(folder).facts()["now"]["stage_seconds_left"] == pytest.approx(100, abs=20)


def test_shards_that_were_reused_are_said_to_be(home: Home):
    folder = begun(home)
    with folder.hold(wait=False):
        label = Label("one", 1, "main", "sample", shard=1, shards=4)
        tell(folder, label, 0.5, working=False)
        facts = Standing(folder).facts()
        assert wording.doing(facts) == "round 1: main/sample, shard 2 of 4, reused"
        assert facts["now"]["reused"] == 1
        tell(folder, label, 0.5)
        assert wording.doing(Standing(folder).facts()) == "round 1: main/sample, shard 2 of 4"


def test_progress_of_an_earlier_run_is_not_taken_for_that_of_this_one(home: Home):
    folder = begun(home)
    tell(folder, Label("one", 1, "main", "sample"), 0.5)
    folder.write_progress({**(folder.progress() or {}), "pid": 1})
    with folder.hold(wait=False):
        assert Standing(folder).facts()["now"] is None


def test_a_record_that_changes_is_read_again(home: Home):
    folder = begun(home)
    standing = Standing(folder)
    ended(folder, 1, "rejected")
    assert standing.facts()["champion"]["round"] == 0
    time.sleep(0.02)  # another time of change, on a file system of coarse clocks too
    ended(folder, 1)
    assert standing.facts()["champion"] == {"round": 1, "model": "1" * 64}


def test_bars_and_clocks_read_without_colours():
    assert [bar(share, 4) for share in (0, 0.5, 1.0, 7)] == ["····", "━━··", "━━━━", "━━━━"]
    assert [wording.clock(seconds) for seconds in (-3, 7, 754, 3723)] == ["0:00", "0:07", "12:34", "1:02:03"]
