"""`roundhouse publish`: what it took, what still waits and why, and the exit status that says whether all of it is there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lib import events, seeds
from lib.events import CampaignEvent, FinalEvent, ModelRef, RoundEvent
from lib.home import Home
from tests.flows.conftest import ROOT, environment

pytestmark = pytest.mark.slow


def model(name: str, role: str = "policy") -> ModelRef:
    digest = seeds.digest(name)
    return ModelRef(role, digest, f"store/artifacts/{digest[:2]}/{digest}")


def put(home: Home, campaign: str, made: ModelRef) -> None:
    for event in (
        CampaignEvent(campaign, "star", "", 7, (model("r0"),)),
        RoundEvent(campaign, 1, 1, (), (model("r0"),), (made,), {}, {}, True, "up 0.1"),
        FinalEvent(campaign, 1, "one round asked for"),
    ):
        events.put(home.outbox, event)


def publish(home: Home, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", "publish", *words]
    return subprocess.run(command, env=environment(home, None, **more), cwd=ROOT, capture_output=True, text=True)


def test_it_says_what_it_published_and_names_what_still_waits(home: Home):
    put(home, "well", model("r1"))
    gone = publish(home, MLFLOW_TRACKING_URI="http://me:secret@127.0.0.1:9")
    assert gone.returncode == 1
    why = "MLflow at http://127.0.0.1:9: nobody answers there; start it, or unset MLFLOW_TRACKING_URI to use the home's own database"
    assert gone.stderr == f"roundhouse: 3 events still wait, from the beginning of well on: {why}\n"
    assert "secret" not in gone.stdout

    put(home, "sick", model("r1", "bad:role"))
    some = publish(home)
    assert some.returncode == 1
    assert "4 events published to sqlite:///" in some.stdout
    assert "  well: 1 beginning, 1 round, 1 end\n  sick: 1 beginning\n" in some.stdout
    assert "comes after one above" in some.stdout
    assert some.stderr.startswith("roundhouse: 2 events still wait, from round 1 of sick on: MLflow at sqlite:///")
    assert some.stderr.count("\n") == 1

    told = publish(home, "--json")
    assert told.returncode == 1
    said = json.loads(told.stdout)
    assert (said["published"], [waiting["event"] for waiting in said["waiting"]]) == (
        [],
        ["round 1 of sick", "the end of sick after round 1"],
    )
