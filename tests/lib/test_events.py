"""Lineage events go through the outbox whole, and an equal fact is an equal event."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from lib import events, outbox
from lib.errors import UserError
from lib.events import CampaignEvent, DatasetRef, EvaluateEvent, FinalEvent, Measure, ModelRef, RoundEvent

BASE = ModelRef("policy", "a" * 64, "store/artifacts/aa/" + "a" * 64)
NEXT = ModelRef("policy", "b" * 64, "store/artifacts/bb/" + "b" * 64)
TABLE = DatasetRef("completions", "sample", "c" * 64, "store/artifacts/cc/" + "c" * 64, 100, "completions/v1")
ROUND = RoundEvent("demo", 1, 0, (TABLE,), (BASE,), (NEXT,), {"n": "8"}, {"train/loss": 0.5}, True, "better by 0.1", "flow-1")
EVENTS = [
    CampaignEvent("demo", "star", "d" * 64, 7, (BASE,), {"sampler.n": "8"}, "flow-1"),
    ROUND,
    EvaluateEvent("demo", 1, 0, NEXT, "validation", (Measure("pass@1", "all", 0.5, 0.01, 400), Measure("entropy", "all", 1.0, None, 4))),
    FinalEvent("demo", 3, "three rounds asked for"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_comes_out_of_the_outbox_as_it_went_in(tmp_path, event):
    events.put(tmp_path, event)
    assert events.from_json(outbox.pending(tmp_path)[0].event) == event


def test_the_id_ignores_who_put_it_and_nothing_else(tmp_path):
    same = events.put(tmp_path, replace(ROUND, flow_run="flow-2", supersedes="e" * 64))
    assert events.put(tmp_path, ROUND) == same
    others = [replace(ROUND, attempt=1), replace(ROUND, accepted=False), replace(ROUND, metrics={"train/loss": 0.6})]
    assert len({same, *(events.put(tmp_path, other) for other in others)}) == 4


def test_a_round_of_an_older_home_keeps_its_id():
    """As it was before roles were decided each for itself."""
    assert events.identity(ROUND) == "7093f2cfc3d371fd612d9e4661f469ba681c1426b689ec0f77c97506a34f878e"
    assert events.identity(replace(ROUND, otherwise={"questioner": "rejected: worse"})) != events.identity(ROUND)


def test_a_diverged_loss_is_recorded(tmp_path):
    events.put(tmp_path, replace(ROUND, metrics={"train/loss": math.nan, "train/norm": math.inf}))
    back = events.from_json(outbox.pending(tmp_path)[0].event)
    assert isinstance(back, RoundEvent)
    assert math.isnan(back.metrics["train/loss"])
    assert back.metrics["train/norm"] == math.inf


@pytest.mark.parametrize("uri", ["/home/me/store/x", "file:///x", "~/x"])
def test_a_path_of_this_machine_is_refused(uri):
    with pytest.raises(UserError, match="relative to the roundhouse home"):
        ModelRef("policy", "a" * 64, uri)
    with pytest.raises(UserError, match="relative to the roundhouse home"):
        replace(TABLE, uri=uri)


def test_a_pointer_is_relative_to_the_home(tmp_path):
    assert events.pointer(tmp_path / "store" / "artifacts" / "aa", tmp_path) == "store/artifacts/aa"
    with pytest.raises(ValueError, match="not in the subpath"):
        events.pointer(Path("/elsewhere"), tmp_path)


def test_an_event_of_a_later_version_is_named():
    with pytest.raises(UserError, match="kind 'merger'"):
        events.from_json({"kind": "merger", "campaign": "demo"})
