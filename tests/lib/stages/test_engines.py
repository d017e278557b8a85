"""Models stay open between shards, each with the engine of its role, and make room for others."""

from pathlib import Path

import pytest

from lib.engines.scripted import Scripted
from lib.protocols import Machine
from lib.stages import engines

ONE, OTHER = (Scripted(otherwise=word).model_dump(mode="json") for word in ("one", "other"))


@pytest.fixture(autouse=True)
def nothing_open(monkeypatch):
    monkeypatch.setattr(engines, "_open", {})


def opened(models, **settings):
    return engines.open_engines(settings, {part: (name, Path()) for part, name in models.items()}, Machine())


def test_a_role_uses_its_own_engine_and_the_others_the_common_one():
    found = opened({"policy": "m", "policy@base": "b", "judge@external:x": "e"}, engine=ONE, engines={"judge": OTHER})
    assert {part: (engine.model_id, engine._otherwise) for part, engine in found.items()} == {
        "policy": ("m", "one"),
        "policy@base": ("b", "one"),
        "judge@external:x": ("e", "other"),
    }


def test_a_model_stays_open_and_one_model_in_two_parts_is_opened_once():
    first = opened({"policy": "m", "policy@base": "m"}, engine=ONE)
    assert first["policy"] is first["policy@base"]
    assert opened({"policy": "m"}, engine=ONE)["policy"] is first["policy"]
    assert opened({"policy": "m"}, engine=OTHER)["policy"] is not first["policy"]


def test_a_stage_keeps_all_its_own_models_and_older_ones_make_room():
    for name in "abc":
        opened({"policy": name}, engine=ONE)
    five = {f"r{i}": f"m{i}" for i in range(5)}
    assert len(set(map(id, opened(five, engine=ONE).values()))) == 5
    again = opened(five, engine=ONE)
    assert len(engines._open) == 5
    assert all(again[part] is engine for part, engine in opened(five, engine=ONE).items())


def test_a_stage_without_models_opens_none():
    assert opened({}) == {}
