"""An MLflow that is down, hangs, fails or refuses: nothing is lost, little time is, and what waits is named."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from lib import events, outbox, seeds
from lib.errors import UserError
from lib.events import CampaignEvent, EvaluateEvent, FinalEvent, Measure, ModelRef, RoundEvent
from lib.publisher import Publisher, publish
from lib.tracked import tracked
from lib.tracking import TrackingDown, connect
from tests.mlflow_between import between

pytestmark = pytest.mark.slow  # servers that hang, and an MLflow each


@pytest.fixture
def hasty(monkeypatch, tmp_path):
    """Nobody waits longer than a second for an answer."""
    connect(f"sqlite:///{tmp_path / 'mlflow.db'}")  # it sets the time that MLflow waits, once
    monkeypatch.setitem(os.environ, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


def model(name, role="policy"):
    digest = seeds.digest(name)
    return ModelRef(role, digest, f"store/artifacts/{digest[:2]}/{digest}")


def story(campaign):
    start, made, last = model("r0"), model("r1"), model("r2")
    return [
        CampaignEvent(campaign, "star", seeds.digest("recipe"), 7, (start,)),
        RoundEvent(campaign, 1, 1, (), (start,), (made,), {}, {}, True, "up 0.1"),
        EvaluateEvent(campaign, 1, 1, made, "validation", (Measure("pass@1", "all", 0.5, None, 8),)),
        RoundEvent(campaign, 2, 1, (), (made,), (last,), {}, {}, False, "no gain"),
        EvaluateEvent(campaign, 1, 1, made, "test", (Measure("pass@1", "all", 0.5, None, 8),)),
        FinalEvent(campaign, 2, "two rounds asked for"),
    ]


def put(home, *those):
    for event in those:
        events.put(home / "outbox", event)
    return home / "outbox"


@pytest.mark.parametrize(
    ("status", "says"),
    [(-1, "no answer within 1 s"), (0, "it hung up in the middle; start it"), (500, "it answers 500 to whatever it is asked")],
)
def test_a_server_that_gives_no_answer_is_asked_once_for_all_that_waits(hasty, tmp_path, status, says):
    folder = put(tmp_path, *story("one"), *story("two"))
    with between() as middle:
        middle.answer = lambda number, body: status
        began = time.monotonic()
        done = publish(folder, middle.address)
        assert time.monotonic() - began < 15, "one request of a second, and not one for each event"
        assert (done.count, done.failed, middle.asked) == (0, 12, 1)
        assert done.reason.startswith(f"MLflow at {middle.address}: {says}")
        assert "\n" not in done.reason
    assert len(outbox.pending(folder)) == 12


def test_a_campaign_waits_at_its_end_no_longer_than_told_for_a_server_that_hangs(tmp_path):
    said = []
    with between() as middle:
        middle.answer = lambda number, body: -1
        publisher = Publisher(put(tmp_path, *story("one")), middle.address, said.append)
        publisher.kick()
        began = time.monotonic()
        assert not publisher.close(0.5)
        assert time.monotonic() - began < 5
    assert len(said) == 1 and "took longer than 0.5 s" in said[0]


def test_a_refused_event_is_named_and_holds_up_only_what_stands_on_it(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    sick = [
        replace(event, models_out=(model("r2", "bad:role"),)) if isinstance(event, RoundEvent) and event.round == 2 else event
        for event in story("sick")
    ]
    done = publish(put(tmp_path, *sick, *story("well")), uri)
    assert [(waiting.what, bool(waiting.why)) for waiting in done.waiting] == [
        ("round 2 of sick", True),
        ("the end of sick after round 2", False),
    ]
    assert done.reason.startswith(f"MLflow at {uri}: ")
    titles = [run["title"] for run in tracked(uri, "sick")["runs"]]
    assert "evaluate test" in titles, "what was put after it and does not stand on it"
    assert tracked(uri, "well")["runs"][0]["status"] == "FINISHED"


def test_a_password_in_the_address_is_never_said(hasty, tmp_path):
    done = publish(put(tmp_path, *story("one")), "http://me:secret@127.0.0.1:9")
    assert done.failed == 6
    assert "secret" not in done.reason and "MLflow at http://127.0.0.1:9: " in done.reason


def test_reading_back_says_in_one_line_what_is_wrong(hasty, tmp_path):
    with pytest.raises(TrackingDown, match=r"^MLflow at http://127.0.0.1:9: nobody answers there; start it, or unset MLFLOW_TRACKING_URI"):
        tracked("http://127.0.0.1:9", "demo")
    with pytest.raises(UserError, match="knows no campaign 'demo'; `roundhouse publish` sends"):
        tracked(f"sqlite:///{tmp_path}/mlflow.db", "demo")
