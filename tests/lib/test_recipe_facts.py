"""What a recipe says of itself: needs read off its strategies, and every setting by a path that `--set` takes."""

import json

import pytest

from lib import recipe as recipes
from lib import recipe_facts
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.keep_correct import KeepCorrect
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.samplers.with_hint import WithHint
from lib.trainers.sft import Sft
from lib.verifiers.code import Code
from lib.verifiers.countdown import Countdown
from lib.verifiers.judge import Judge
from lib.verifiers.likelihood import Likelihood
from lib.verifiers.majority import Majority
from lib.verifiers.mix import Mix
from lib.verifiers.reward_model import RewardModel


def recipe(*verifiers, sampler=None, **phase):
    one = Phase(sampler=sampler or Independent(), verifiers=verifiers, filters=(KeepCorrect(),), trainer=Sft(), **phase)
    return Recipe(phases=(one,), evaluators=(PassAtK(),))


@pytest.mark.parametrize(
    ("verifiers", "needed"),
    [
        ((), ["gold answers"]),
        ((Likelihood(),), []),
        ((Code(),), ["gold answers", "tests"]),
        ((Mix(of=(RewardModel(), Likelihood()), gates=(Judge(),)),), ["reward model", "judge"]),
        ((Judge(role="old_hand"), Likelihood(role="old_hand")), ["judge", "old hand"]),
    ],
)
def test_needs_are_those_of_its_strategies_however_deep(verifiers, needed):
    assert recipe_facts.needs(recipe(*verifiers)) == needed


def test_what_a_vote_compares_with_is_no_gold_answer():
    assert recipe_facts.needs(recipe(Majority(by="text"))) == []
    assert recipe_facts.needs(recipe(Majority())) == []


def test_a_role_that_the_recipe_trains_is_no_need():
    judge = Phase(name="judge", role="reward_model", trainer=Sft())
    both = Recipe(phases=(recipe(RewardModel()).phases[0], judge), evaluators=(PassAtK(),))
    assert recipe_facts.needs(both) == []


def test_what_only_measures_is_no_need():
    for name in ("self_rewarding", "temporal_self_rewarding"):
        assert recipe_facts.needs(recipes.load(name)[0]) == ["judge"], "the exact verifier's verdicts are read by nothing"
    assert "gold answers" in recipe_facts.needs(recipe(Judge(), Countdown()))


def test_a_hint_is_taken_from_the_gold_answer():
    assert recipe_facts.needs(recipe(Majority(), sampler=WithHint())) == ["gold answers"]


@pytest.mark.parametrize("name", recipes.names())
def test_every_setting_is_one_that_set_takes_and_says_what_it_is(name):
    found, _ = recipes.load(name)
    told = recipe_facts.settings(found)
    assert len({setting.path for setting in told}) == len(told)
    assert recipes.override(found, {setting.path: json.dumps(setting.value) for setting in told}).dump() == found.dump()
    assert [setting.path for setting in told if not setting.doc] == []


def test_a_setting_has_the_shortest_path_that_fits_one_place():
    paths = {setting.path: setting.value for setting in recipe_facts.settings(recipe())}
    assert paths["sampler.n"] == 8
    assert "phases.0.stages" not in paths
    sample = Stage(verb="sample", run=(Independent(n=3),))
    twice = Phase(stages=(sample, sample.model_copy(update={"name": "again"}), Stage(verb="verify")))
    full = {s.path: s.value for s in recipe_facts.settings(Recipe(phases=(twice,), evaluators=(PassAtK(),)))}
    assert full["stages.1.run.0.n"] == 3
    assert not any(path.startswith("sampler") for path in full)


def test_it_tells_what_each_training_begins_from():
    assert recipe_facts.begins_from(recipes.load("star")[0]) == [
        "the built-in model, made by the recipe warm_start, or the folder that --model names",
        "main/train: the model 'base'",
    ]


@pytest.mark.parametrize(("name", "needed"), [("agent0", ["tools"]), ("spiral", ["environment"]), ("re_rest", ["gold answers"])])
def test_tools_and_games_are_needs(name, needed):
    assert recipe_facts.needs(recipes.load(name)[0]) == needed
