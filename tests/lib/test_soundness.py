"""What a recipe could not finish with is refused before any work is done."""

from pathlib import Path

import pytest

from lib import recipe as recipes
from lib.controllers.balance import Balance
from lib.controllers.bandit import Bandit
from lib.controllers.schedule import Schedule
from lib.engines.classifier import Classifier
from lib.errors import UserError
from lib.evaluators.calibration import Calibration
from lib.evaluators.drift import Drift
from lib.evaluators.pass_at_k import PassAtK
from lib.evaluators.win_rate import WinRate
from lib.filters.group_advantages import GroupAdvantages
from lib.opening import Opening
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.soundness import external_models, refuse_unsound
from lib.strategy import Strategy
from lib.trainers.online_policy_gradient import OnlinePolicyGradient
from lib.trainers.sft import Sft
from lib.verifiers.answer import Answer
from lib.verifiers.consensus import Consensus
from lib.verifiers.judge import Judge
from lib.verifiers.likelihood import Likelihood
from lib.verifiers.mix import Mix
from lib.verifiers.reward_model import RewardModel
from lib.verifiers.score_shaping import ScoreShaping

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
        (
            verified(RewardModel(model="external:."), engines={"reward-model": Classifier()}),
            "no role 'reward-model'.*did you mean 'reward_model'",
        ),
        (verified(Answer(), gold="anwser"), "no verifier 'anwser' in stage 'verify' to be its gold; did you mean 'answer'"),
    ],
)
def test_verifiers_that_could_not_be_cast_are_refused(recipe: Recipe, said: str):
    with pytest.raises(UserError, match=said):
        refuse_unsound(recipe, BASE)


def measured(*evaluators) -> Recipe:
    return trained().model_copy(update={"evaluators": evaluators})


def test_a_name_makes_two_of_a_kind_two_and_the_gate_can_read_either():
    recipe = measured(PassAtK(), PassAtK(name="tree"))
    assert refuse_unsound(recipe, BASE) is None
    gated = recipe.model_copy(update={"gate": recipe.gate.model_copy(update={"metric": "tree_pass_at_1"})})
    assert refuse_unsound(gated, BASE) is None


@pytest.mark.parametrize(
    ("evaluator", "said"),
    [
        (WinRate(scorer=Judge(model="base"), against="champion"), "WinRate: `against` is 'champion', another in every round"),
        (WinRate(scorer=Judge(model="base"), against="bsae"), "no model reference 'bsae' for `against` in WinRate; did you mean 'base'"),
        (WinRate(scorer=Judge()), "'previous', another in every round"),
        (WinRate(scorer=Judge(model="base"), against="round:1"), "which is not there when the base model is measured"),
        (Drift(scorer=Likelihood(name="x"), verifiers=(Likelihood(name="x", model="base"),)), "Drift has 2 verifiers named 'x'"),
    ],
)
def test_what_an_evaluator_measures_by_or_against_must_stay(evaluator, said: str):
    with pytest.raises(UserError, match=said):
        refuse_unsound(measured(PassAtK(), evaluator), BASE)


@pytest.mark.parametrize(
    ("recipe", "where"),
    [
        (verified(evaluated=(ScoreShaping(),)), "PassAtK: ScoreShaping"),
        (verified(evaluated=(Mix(of=(ScoreShaping(), Answer())),)), "PassAtK: ScoreShaping"),
        (measured(PassAtK(), Calibration(scorer=Consensus())), "Calibration: Consensus"),
        (verified(Mix(of=(ScoreShaping(), Answer()))), "stage 'verify': ScoreShaping"),
    ],
)
def test_a_verifier_that_looks_back_belongs_to_a_verify_stage_alone(recipe: Recipe, where: str):
    with pytest.raises(UserError, match=f"^{where} looks back on .*Stage\\(verb='verify'"):
        refuse_unsound(recipe, BASE)
    assert refuse_unsound(verified(ScoreShaping(), Consensus()), BASE) is None


def test_a_model_to_measure_against_may_come_from_outside():
    recipe = measured(PassAtK(), WinRate(scorer=Judge(model="base"), against="external:."))
    assert refuse_unsound(recipe, BASE) is None
    assert external_models(recipe) == {"external:.": ["policy"]}


def test_a_model_is_measured_by_what_it_writes_itself():
    recipe = trained().model_copy(update={"evaluators": (PassAtK(sampler=Independent(model="base")),)})
    with pytest.raises(UserError, match="PassAtK: its sampler draws from 'base', not from the model that is measured"):
        refuse_unsound(recipe, BASE)


def test_a_sampler_may_draw_from_a_model_that_was_trained_before():
    late = Phase(name="second", sampler=Independent(model="phase:first", written_as="future"), trainer=Sft(steps=1))
    first = Phase(name="first", sampler=Independent(), trainer=Sft(steps=1))
    assert refuse_unsound(Recipe(phases=(first, late), evaluators=(PassAtK(),)), BASE) is None
    with pytest.raises(UserError, match="no phase 'first'"):
        refuse_unsound(Recipe(phases=(late,), evaluators=(PassAtK(),)), BASE)


def test_every_external_model_is_found_with_the_roles_that_it_plays():
    made = verified(
        Mix(of=(Judge(role="judge", model="external:a"),)),
        RewardModel(model="external:b"),
        evaluated=(Judge(model="external:a"),),
    )
    train = Phase(name="second", role="student", trainer=Sft(steps=1, start_from="external:a"))
    made = made.model_copy(update={"phases": (*made.phases, train)})
    assert external_models(made) == {"external:a": ["student", "judge", "policy"], "external:b": ["reward_model"]}


def rounds(*phases: Phase) -> Recipe:
    return Recipe(phases=phases, evaluators=(PassAtK(),))


FIRST = Phase(name="first", first_round_only=True, sampler=Independent(), trainer=Sft(steps=1))
ONLINE = OnlinePolicyGradient(sampler=Independent(), filters=(GroupAdvantages(),))


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (rounds(Phase(trainer=Sft(steps=1)), Phase(trainer=Sft(steps=1))), "2 phases are named 'main'"),
        (rounds(FIRST, Phase(trainer=Sft(steps=1, start_from="phase:first"))), "'main/train' of every round asks for 'first'"),
        (rounds(FIRST, Phase(sampler=Independent(model="phase:first"))), "leave first_round_only out"),
        (
            rounds(FIRST, Phase(stages=(Stage(verb="train", run=(Sft(steps=1),), reads=("first/filter",)),))),
            "asks for 'first/filter', which is there in the first round alone",
        ),
        (rounds(Phase(stages=(Stage(verb="train", run=(Sft(steps=1),), reads=("first/filter",)),))), "no stage 'first/filter' before"),
        (rounds(FIRST, Phase(sampler=Independent(), controllers=(Bandit(count=3, reads=("first/filter",)),))), "no stage 'first/filter'"),
        (rounds(Phase(trainer=ONLINE, accumulate="all")), "trainer samples what it learns in its training"),
        (rounds(Phase(trainer=ONLINE.model_copy(update={"verifiers": (Judge(model="bsae"),)}))), "did you mean 'base'"),
        (rounds(Phase(sampler=Independent(), verifiers=(Judge(role="judge"),))), "role 'judge', and no phase trains one; give it model="),
    ],
)
def test_what_a_later_round_would_miss_is_refused_before_the_first(recipe: Recipe, said: str):
    with pytest.raises(UserError, match=said):
        refuse_unsound(recipe, BASE)


def test_a_judge_inside_a_training_may_have_an_engine_of_its_own():
    judged = ONLINE.model_copy(update={"verifiers": (Judge(role="judge", model="external:."),)})
    recipe = rounds(Phase(trainer=judged)).model_copy(update={"engines": {"judge": Classifier()}})
    assert refuse_unsound(recipe, BASE) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"controllers": (Schedule(setting="sampler.temprature"),)}, "temprature"),
        ({"controllers": (Balance(temperature_setting="smpler.temperature"),)}, "smpler"),
        ({"controllers": (Bandit(count=3, reads=("main/fliter",)),)}, "main/filter"),
    ],
)
def test_what_a_controller_decides_and_reads_must_be_there(changes: dict, said: str):
    grpo = recipes.load("grpo")[0]
    with pytest.raises(UserError, match=said):
        refuse_unsound(grpo.model_copy(update={"phases": (grpo.phases[0].model_copy(update=changes),)}), frozenset())


def test_a_rule_for_stopping_must_be_one():
    with pytest.raises(UserError, match="Balance cannot stop"):
        refuse_unsound(recipes.load("grpo")[0].model_copy(update={"stop": Balance()}), frozenset())
