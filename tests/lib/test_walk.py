"""MLflow as a record: from a champion back to the starting model, over three rounds in a real sqlite MLflow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lib import events, seeds
from lib.errors import UserError
from lib.events import CampaignEvent, DatasetRef, ModelRef, RoundEvent
from lib.publisher import publish
from lib.tracked import tracked
from lib.walk import walk

pytestmark = pytest.mark.slow  # each replays a campaign's events into an MLflow of its own


def model(name, role="policy"):
    digest = seeds.digest(name)
    return ModelRef(role, digest, f"store/artifacts/{digest[:2]}/{digest}")


def table(name, context, number):
    digest = seeds.digest([name, number])
    return DatasetRef(name, context, digest, f"store/artifacts/{digest[:2]}/{digest}", 100 + number, f"{name}/v1")


def decided(number, attempt, before, after, accepted):
    tables = (table("completions", "sample", 10 * number + attempt), table("examples_sft", "train", 10 * number + attempt))
    return RoundEvent("demo", number, attempt, tables, (before, model("judge", "judge")), (after,), {}, {}, accepted, "as the gate said")


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    for event in (
        CampaignEvent("demo", "star", seeds.digest("recipe"), 7, (model("r0"), model("judge", "judge"))),
        decided(1, 0, model("r0"), model("r1"), True),
        decided(2, 0, model("r1"), model("r2"), False),
        decided(2, 1, model("r1"), model("r2 again"), True),
        decided(3, 0, model("r2 again"), model("r3"), False),
    ):
        events.put(home / "outbox", event)
    address = f"sqlite:///{home}/mlflow.db"
    assert publish(home / "outbox", address).failed == 0
    return address


def test_the_walk_from_the_champion_is_the_chain_of_accepted_models(uri):
    chain = walk(uri, "demo")
    assert [(step["version"], step["round"], step["attempt"], step["decision"]) for step in chain] == [
        (4, 2, 1, "accepted"),
        (2, 1, 0, "accepted"),
        (1, 0, 0, ""),
    ]
    assert [step["digest"] for step in chain] == [seeds.digest(name) for name in ("r2 again", "r1", "r0")]
    assert [step["models_in"].get("policy") for step in chain] == [seeds.digest("r1"), seeds.digest("r0"), None]
    assert chain[0]["models_in"]["judge"] == seeds.digest("judge")


def test_each_step_names_what_its_round_read_by_full_digest_and_pointer(uri):
    digest = seeds.digest(["completions", 21])
    found = {dataset["name"]: dataset for dataset in walk(uri, "demo")[0]["datasets"]}
    assert found["completions"] == {
        "name": "completions",
        "context": "sample",
        "digest": digest,
        "uri": f"store/artifacts/{digest[:2]}/{digest}",
        "rows": "121",
        "schema": "completions/v1",
    }
    assert found["examples_sft"]["context"] == "train"


def test_the_walk_from_the_candidate_begins_at_the_newest_model(uri):
    assert [step["digest"] for step in walk(uri, "demo", alias="candidate")][:2] == [seeds.digest("r3"), seeds.digest("r2 again")]


def test_a_model_that_no_round_made_is_a_chain_of_one(uri):
    assert [step["digest"] for step in walk(uri, "demo", role="judge")] == [seeds.digest("judge")]


def test_a_rerun_that_the_gate_rejects_gives_the_place_back_and_a_return_to_the_old_result_takes_it_again(tmp_path):
    address, outbox = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "outbox"
    first = decided(1, 0, model("r0"), model("r1"), True)
    worse = replace(first, models_out=(model("worse"),), accepted=False, supersedes=events.identity(first), revision=1)
    back = replace(first, supersedes=events.identity(worse), revision=2)
    champions, candidates = [], []
    for event in (CampaignEvent("demo", "star", "", 7, (model("r0"), model("judge", "judge"))), first, worse, back):
        events.put(outbox, event)
        assert publish(outbox, address).failed == 0
        champions.append(walk(address, "demo")[0]["digest"])
        candidates.append(walk(address, "demo", alias="candidate")[0]["digest"])
    assert champions == [seeds.digest(name) for name in ("r0", "r1", "r0", "r1")]
    assert candidates == [seeds.digest(name) for name in ("r0", "r1", "worse", "r1")]


def test_a_rerun_of_an_early_round_leaves_the_later_ones_where_they_stand_or_marks_them(tmp_path):
    address, outbox = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "outbox"
    first, second = decided(1, 1, model("r0"), model("r1"), True), decided(2, 1, model("r1"), model("r2"), True)
    same = replace(first, params={"set.sampler.n": "3"}, supersedes=events.identity(first), revision=1, later_stand=True)
    other = replace(first, models_out=(model("other"),), supersedes=events.identity(same), revision=2)

    def publishing(*those):
        for event in those:
            events.put(outbox, event)
        assert publish(outbox, address).failed == 0
        runs = {
            run["tags"]["roundhouse.event"]: run["tags"] for run in tracked(address, "demo")["runs"] if "roundhouse.event" in run["tags"]
        }
        newest = [walk(address, "demo", alias=alias)[0]["digest"] for alias in ("champion", "candidate")]
        return newest, {event: tags["roundhouse.superseded_by"] for event, tags in runs.items() if "roundhouse.superseded_by" in tags}

    start = CampaignEvent("demo", "star", "", 7, (model("r0"), model("judge", "judge")))
    assert publishing(start, first, second, same) == (
        [seeds.digest("r2")] * 2,
        {events.identity(first): events.identity(same)},
    )
    newest, superseded = publishing(other)
    assert newest == [seeds.digest("other")] * 2
    assert superseded == {
        events.identity(first): events.identity(same),
        events.identity(same): events.identity(other),
        events.identity(second): events.identity(other),
    }


def test_an_unknown_campaign_says_what_to_do(uri):
    with pytest.raises(UserError, match=r"no champion of 'other.policy'.*roundhouse publish"):
        walk(uri, "other")
