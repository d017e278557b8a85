"""What an MLflow server takes is what a sqlite file takes, and whatever becomes of it on the way, the end is the same."""

from __future__ import annotations

import json
import re

import pytest

from lib import events, seeds
from lib.events import CampaignEvent, DatasetRef, EvaluateEvent, FinalEvent, Measure, ModelRef, RoundEvent
from lib.publisher import publish
from lib.tracked import tracked
from lib.tracking import connect
from tests.mlflow_between import between
from tests.mlflow_server import mlflow_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

POISON = "what this server never takes"


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """These are about what arrives, not about how fast a server answers beside other tests."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a real MLflow server, ended with the module."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


def model(name):
    digest = seeds.digest(name)
    return ModelRef("policy", digest, f"store/artifacts/{digest[:2]}/{digest}")


def story(campaign="demo"):
    digest = seeds.digest("completions")
    table = DatasetRef("completions", "main/sample", digest, f"store/artifacts/{digest[:2]}/{digest}", 100, "completions/v1")
    start, made, last = model("r0"), model("r1"), model("r2")
    measure = (Measure("pass@1", "all", 0.5, 0.01, 400),)
    return [
        CampaignEvent(campaign, "star", seeds.digest("recipe"), 7, (start,), {}, "flow-1"),
        RoundEvent(campaign, 0, 1, (), (start,), (), {}, {}, True, "the base model", "flow-1"),
        EvaluateEvent(campaign, 0, 1, start, "validation", measure, "flow-1"),
        RoundEvent(campaign, 1, 1, (table,), (start,), (made,), {}, {"main/train/loss": 0.5}, True, "up 0.1", "flow-1"),
        EvaluateEvent(campaign, 1, 1, made, "validation", measure, "flow-1"),
        RoundEvent(campaign, 2, 1, (table,), (made,), (last,), {"note": POISON}, {}, True, "up 0.2", "flow-1"),
        EvaluateEvent(campaign, 2, 1, last, "validation", measure, "flow-1"),
        EvaluateEvent(campaign, 1, 1, made, "test", measure, "flow-1"),
        FinalEvent(campaign, 2, "two rounds asked for"),
    ]


def put(folder, campaign):
    for event in story(campaign):
        events.put(folder / "outbox", event)
    return folder / "outbox"


def told(address, campaign):
    """All that MLflow says of a campaign, with words in the place of the names that MLflow gives."""
    found = tracked(address, campaign)
    words = {run["id"]: run["title"] for run in found["runs"]}
    words |= {name: tags["roundhouse.digest"] for name, tags in found["models"].items()}
    words |= {f"experiments/{found['experiment']}/": "experiments/ours/", campaign: "demo"}
    events_of = {run["tags"]["roundhouse.event"]: run["title"] for run in found["runs"] if "roundhouse.event" in run["tags"]}
    text = json.dumps({"runs": found["runs"], "models": found["models"], "versions": found["versions"]})
    for name, word in (words | events_of).items():
        text = text.replace(name, word)
    said = json.loads(re.sub(r'"(mlflow\.(user|source)[^"]*|experiment)": "[^"]*"', r'"\1": ""', text))
    said["runs"].sort(key=lambda run: json.dumps(run, sort_keys=True))
    return said


@pytest.fixture(scope="module")
def calm(server, tmp_path_factory):
    """What stands in MLflow after a campaign that nothing disturbed."""
    assert publish(put(tmp_path_factory.mktemp("calm"), "calm"), server).failed == 0
    return told(server, "calm")


def test_a_round_without_a_model_of_its_own_reaches_the_server_and_all_of_it_twice_is_all_of_it_once(server, calm, tmp_path):
    assert publish(put(tmp_path, "twice"), server).count == 9
    for marker in (tmp_path / "outbox" / "published").iterdir():
        marker.unlink()
    assert publish(put(tmp_path, "twice"), server).failed == 0
    assert told(server, "twice") == calm
    assert [run["title"] for run in calm["runs"]].count("round 0") == 1
    assert connect(server).get_model_version_by_alias("twice.policy", "champion").tags["roundhouse.digest"] == model("r2").digest


def test_a_server_that_dies_in_the_middle_has_the_same_in_the_end(server, calm, tmp_path):
    outbox = put(tmp_path, "died")
    with between(server) as middle:
        middle.answer = lambda number, body: 200 if number <= 60 else 0  # in the middle of a round
        first = publish(outbox, middle.address)
        asked = middle.asked
        middle.answer = lambda number, body: 500 if number == asked + 40 else 200  # and then it fails once
        second = publish(outbox, middle.address)
    assert 0 < first.count < 9 and first.count + first.failed == 9
    assert "it hung up in the middle; start it" in first.reason
    assert second.failed, "what failed once waits"
    assert publish(outbox, server).failed == 0
    assert told(server, "died") == calm


def test_an_event_that_is_never_taken_holds_up_only_what_stands_on_it(server, calm, tmp_path):
    outbox = put(tmp_path, "sick")
    put(tmp_path, "well")
    with between(server) as middle:
        middle.answer = lambda number, body: 400 if POISON.encode() in body and b"sick" not in body else 200
        poisoned = {run["title"] for run in calm["runs"]}
        assert "round 2" in poisoned
        done = publish(outbox, middle.address)
        assert [(waiting.what, bool(waiting.why)) for waiting in done.waiting] == [
            ("round 2 of sick", True),
            ("round 2 of sick on validation", False),
            ("the end of sick after round 2", False),
            ("round 2 of well", True),
            ("round 2 of well on validation", False),
            ("the end of well after round 2", False),
        ]
        assert done.count == 12, "the test figures of round 1, put after it, are there"
        assert publish(outbox, middle.address).count == 0
    assert publish(outbox, server).failed == 0
    assert told(server, "sick") == told(server, "well") == calm
