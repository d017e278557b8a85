"""Settings that a rerun changed for one round: which recipe they make, which of them count, and where they are found again."""

from dataclasses import replace

import pytest

from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.errors import UnknownName, UserError
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.cap_per_problem import CapPerProblem
from lib.filters.keep_correct import KeepCorrect
from lib.home import Home
from lib.opening import guarded
from lib.overrides import applied, needed, recorded
from lib.problems.countdown import Countdown
from lib.recipe import Phase, Recipe, override
from lib.recipe_settled import with_verifiers
from lib.round_record import RoundRecord
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

PLAIN = Recipe(
    phases=(Phase(sampler=Independent(n=2), filters=(KeepCorrect(), CapPerProblem(n=4)), trainer=Sft(start_from="base")),),
    evaluators=(PassAtK(),),
)


def as_begun(recipe: Recipe) -> dict:
    return guarded(with_verifiers(recipe, Countdown().verifiers())).dump()


@pytest.fixture
def campaign() -> Campaign:
    plan = ProblemPlan(Countdown().model_dump(mode="json"), {"train": 8})
    return Campaign("one", "plain", as_begun(PLAIN), 0, plan, {"policy": "b"}, {"base": ("e",)})


@pytest.mark.parametrize(
    "settings",
    [
        {"sampler.n": "16"},
        {"filters.1.n": "2"},
        {"decontaminate": "null"},
        {"verifiers": "[]"},
        {"gate": "null", "trainer.steps": "7"},
        {"engine.dtype": "bfloat16"},
    ],
)
def test_a_change_makes_the_recipe_that_the_campaign_would_have_begun_with(campaign: Campaign, settings: dict[str, str]):
    changed = applied(campaign, settings)
    assert changed.recipe == as_begun(override(PLAIN, settings))
    assert changed.recipe != campaign.recipe or settings == {"verifiers": "[]"}
    assert replace(changed, recipe=campaign.recipe) == campaign


def test_no_change_is_the_campaign_itself(campaign: Campaign):
    assert applied(campaign, {}) is campaign


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sampler.nn": "16"}, "no setting 'nn' in 'sampler.nn'; did you mean 'n'"),
        ({"smapler.n": "16"}, "no setting 'smapler'.*did you mean 'sampler'"),
        ({"trainer.start_from": "external:/a/model"}, "not a model that campaign 'one' began with"),
        ({"trainer.replay": '["previous"]'}, "replay"),
        ({"evaluators": "[]"}, "no evaluators"),
    ],
)
def test_what_could_not_be_run_is_refused_as_when_a_campaign_begins(campaign: Campaign, settings: dict[str, str], said: str):
    with pytest.raises(UserError, match=said):
        needed(campaign, settings)


def test_only_settings_that_change_anything_are_kept(campaign: Campaign):
    assert needed(campaign, {"sampler.n": "16", "trainer.steps": str(Sft().steps)}) == {"sampler.n": "16"}
    assert needed(campaign, {"sampler.n": "16", "phases.0.sampler.n": "2"}) == {}
    assert needed(campaign, {"sampler.n": "8", "phases.0.sampler.n": "16"}) == {"phases.0.sampler.n": "16"}
    with pytest.raises(UnknownName):
        needed(campaign, {"sampler.nn": "16"})


def test_a_rounds_changes_are_those_of_the_record_that_stands_else_of_the_newest_that_was_set_aside(home: Home):
    folder = CampaignFolder(home, "one")

    def write(n: str, attempt: int = 1) -> None:
        folder.write_round(RoundRecord("one", 1, attempt, overrides={"sampler.n": n}))

    assert recorded(folder, 1) == {}
    for n in ("1", "2"):
        write(n)
        folder.set_aside(folder.record(1))
    assert recorded(folder, 1) == {"sampler.n": "2"}
    write("3")
    assert recorded(folder, 1) == {"sampler.n": "3"}
    write("4", attempt=2)
    assert recorded(folder, 1) == {"sampler.n": "4"}
    assert recorded(folder, 10) == {}
