"""What a recipe could not finish with is refused before any work is done."""

from pathlib import Path

import pytest

from lib import recipe as recipes
from lib.engines.classifier import Classifier
from lib.errors import UserError
from lib.evaluators.pass_at_k import PassAtK
from lib.opening import Opening
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.soundness import external_models, refuse_unsound
from lib.strategy import Strategy
from lib.trainers.sft import Sft
from lib.verifiers.answer import Answer
from lib.verifiers.judge import Judge
from lib.verifiers.likelihood import Likelihood
from lib.verifiers.mix import Mix
from lib.verifiers.reward_model import RewardModel

BASE = frozenset({"base"})


class Mine(Strategy):
    """A user's evaluator, whose metrics nobody knows."""

    def evaluate(self, tables): ...


def trained(**settings) -> Recipe:
    first = Phase(name="first", sampler=Independent(), trainer=Sft(steps=1))
    return Recipe(phases=(first, Phase(name="second", trainer=Sft(steps=1, **settings))), evaluators=(PassAtK(),))


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_of_ours_is_sound(name: str):
    assert refuse_unsound(recipes.load(name)[0], BASE) is None


@pytest.mark.parametrize("reference", ["base", "previous", "champion", "round:2", "phase:first", "external:."])
def test_every_form_of_reference_is_known(reference: str):
    assert refuse_unsound(trained(start_from=reference), BASE) is None


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("previuos", r"no model reference 'previuos' for phases\.1\.trainer\.start_from; did you mean 'previous'"),
        ("round:0", "no model reference 'round:0'"),
        ("round:two", "no model reference"),
        ("phase:frist", "no phase 'frist' that trains before .*did you mean 'first'"),
        ("phase:second", "no phase 'second'"),
        ("external:./gone", r"no model folder '\./gone'"),
        ("external:", "no model reference"),
    ],
)
def test_a_reference_that_cannot_exist_is_refused(reference: str, said: str):
    with pytest.raises(UserError, match=said):
        assert refuse_unsound(trained(start_from=reference), BASE) is None


@pytest.mark.parametrize("name", ["expert_iteration", "star"])
def test_an_adopted_base_has_nothing_to_replay_and_the_remedy_works(name: str, tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"replays the examples of 'base'.*--set 'trainer\.replay=\[\]'"):
        Opening(recipe=name, model=str(tmp_path)).preview()
    Opening(recipe=name, model=str(tmp_path), settings={"trainer.replay": "[]"}).preview()


def test_only_the_base_models_examples_are_known():
    with pytest.raises(UserError, match=r"'round:1'.*phases\.1\.trainer\.replay=\[\]"):
        refuse_unsound(trained(replay=("round:1",)), BASE)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"evaluators": "[]"}, "no evaluators"),
        ({"gate.metric": "pass_at_2"}, r"no metric 'pass_at_2'.*pass_at_1"),
        ({"gate.must_not_regress": '[["pass_at_9", 0.1]]'}, "no metric 'pass_at_9'"),
        ({"evaluators.1": '{"strategy": "lib.evaluators.pass_at_k:PassAtK"}'}, "2 evaluators measure it"),
    ],
)
def test_a_gate_must_find_its_metric(settings: dict[str, str], said: str):
    found, _ = recipes.load("expert_iteration")
    with pytest.raises(UserError, match=said):
        refuse_unsound(recipes.override(found, settings), BASE)


def test_a_users_evaluator_may_write_any_metric():
    recipe = trained()
    assert refuse_unsound(recipe.model_copy(update={"evaluators": (Mine(),)}), BASE) is None


def verified(*verifiers, evaluated=(), gold="", **recipe) -> Recipe:
    stages = (Stage(verb="sample", run=(Independent(),)), Stage(verb="verify", run=verifiers, gold=gold))
    return Recipe(phases=(Phase(stages=stages),), evaluators=(PassAtK(verifiers=evaluated),), **recipe)


@pytest.mark.parametrize(
    "recipe",
    [
        verified(Answer(), Likelihood(), Likelihood(name="before", model="base"), gold="answer"),
        verified(Mix(of=(Judge(model="champion"), Answer()))),
        verified(RewardModel(model="external:."), engines={"reward_model": Classifier()}),
        verified(evaluated=(Likelihood(model="measured"), Judge(model="base"))),
        verified(evaluated=(Judge(role="judge", model="external:."),), engines={"judge": Classifier()}),
    ],
)
def test_verifiers_with_models_are_sound(recipe: Recipe):
    assert refuse_unsound(recipe, BASE) is None


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (verified(Likelihood(model="bsae")), "no model reference 'bsae' for the model of role 'policy' in stage 'verify'"),
        (verified(Mix(of=(Likelihood(model="bsae"),))), "did you mean 'base'"),
        (verified(Likelihood(model="measured")), "no model reference 'measured'"),
        (verified(Judge(model="external:./gone")), r"no model folder '\./gone'"),
        (verified(Likelihood(), Likelihood(model="base")), "stage 'verify' has 2 verifiers named 'likelihood'"),
        (verified(evaluated=(Judge(), Judge())), "PassAtK has 2 verifiers named 'judge'"),
        (verified(evaluated=(Judge(),)), "'previous', another in every round, so that rounds could not be compared; give it one of base"),
        (verified(evaluated=(Likelihood(model="champion"),)), "'champion', another in every round"),
        (verified(evaluated=(Likelihood(model="bsae"),)), "no model reference 'bsae' for the model of role 'policy' in PassAtK"),
        (verified(RewardModel(), engines={"reward-model": Classifier()}), "no role 'reward-model'.*did you mean 'reward_model'"),
        (verified(Answer(), gold="anwser"), "no verifier 'anwser' in stage 'verify' to be its gold; did you mean 'answer'"),
    ],
)
def test_verifiers_that_could_not_be_cast_are_refused(recipe: Recipe, said: str):
    with pytest.raises(UserError, match=said):
        refuse_unsound(recipe, BASE)


def test_every_external_model_is_found_with_the_roles_that_it_plays():
    made = verified(
        Mix(of=(Judge(role="judge", model="external:a"),)),
        RewardModel(model="external:b"),
        evaluated=(Judge(model="external:a"),),
    )
    train = Phase(name="second", role="student", trainer=Sft(steps=1, start_from="external:a"))
    made = made.model_copy(update={"phases": (*made.phases, train)})
    assert external_models(made) == {"external:a": ["student", "judge", "policy"], "external:b": ["reward_model"]}
