"""From a stage of a recipe to its jobs."""

from dataclasses import replace

import pytest

from lib import plan, recipe_settled
from lib import recipe as recipes
from lib.errors import UnknownName, UserError
from lib.evaluators.drift import Drift
from lib.evaluators.win_rate import WinRate
from lib.filters.born_problems import BornProblems
from lib.filters.keep_correct import KeepCorrect
from lib.job import Job, Label, Result
from lib.plan import Ground
from lib.problems.countdown import Countdown
from lib.recipe import Phase, Stage
from lib.samplers.with_hint import WithHint
from lib.trainers.sft import Sft
from lib.verifiers.answer import Answer
from lib.verifiers.judge import Judge
from lib.verifiers.likelihood import Likelihood
from lib.verifiers.mix import Mix
from lib.verifiers.proposal_reward import ProposalReward

GROUND = Ground(
    label=Label("one", 2, "", ""),
    seed=7,
    engine={"strategy": "lib.engines.scripted:Scripted"},
    problems=("p/0", "p/1"),
    held_out=("h/0",),
    models={"base": {"policy": "b"}, "previous": {"policy": "m"}},
    earlier={"main/train": {"all": {0: Result({"examples_sft": ("e1",)}), 1: Result({"examples_sft": ("e2",)})}, "accepted": {}}},
    replay={"base": ("warm",)},
)


def walk(name: str, ground: Ground = GROUND) -> dict[str, list[Job]]:
    """Every stage's jobs of a recipe's first phase, with made-up results."""
    recipe = recipe_settled.with_verifiers(recipes.load(name)[0], (Countdown().verifiers()))
    done: dict[str, Result] = {}
    jobs: dict[str, list[Job]] = {}
    for phase, stage in recipe.stages():
        read = plan.reading(phase, stage, done, ground)
        if stage.verb in ("sample", "verify"):
            make = {"sample": plan.sample_jobs, "verify": plan.verify_jobs}[stage.verb]
            jobs[stage.label] = make(phase, stage, read, ground)
            table = {"sample": "completions", "verify": "verdicts"}[stage.verb]
            made = {table: tuple(f"{stage.label}/{i}" for i in range(len(jobs[stage.label])))}
        else:
            make_one = {"filter": plan.filter_job, "train": plan.train_job}[stage.verb]
            jobs[stage.label] = [make_one(phase, stage, read, ground)]
            made = {"examples_sft": ("e3",)} if stage.verb == "filter" else {"model": ("new",)}
        done[f"{phase.name}/{stage.label}"] = Result(made, (read,))
    return jobs


def test_each_shard_reads_its_own_part_of_what_came_before():
    jobs = walk("star")
    assert [job.inputs for job in jobs["sample"]] == [{"problems": ("p/0",)}, {"problems": ("p/1",)}]
    assert jobs["sample_hinted"][1].inputs == {"problems": ("p/1",), "completions": ("sample/1",), "verdicts": ("verify/1",)}
    assert jobs["verify_hinted"][0].inputs == {"problems": ("p/0",), "completions": ("sample_hinted/0",)}
    assert jobs["filter"][0].inputs["completions"] == ("sample/0", "sample/1", "sample_hinted/0", "sample_hinted/1")
    assert jobs["filter"][0].inputs["verdicts"] == ("verify/0", "verify/1", "verify_hinted/0", "verify_hinted/1")
    assert jobs["filter"][0].inputs["held_out"] == ("h/0",)


def test_fresh_examples_or_those_of_all_rounds_is_a_setting_of_the_stage():
    assert walk("star")["train"][0].inputs == {"examples": ("e3",), "replay": ("warm",)}
    assert walk("expert_iteration")["train"][0].inputs == {"examples": ("e1", "e2", "e3"), "replay": ("warm",)}


def test_a_trainer_without_a_filter_learns_what_it_replays():
    assert walk("warm_only")["train"][0].inputs == {"replay": ("warm",)}


def test_models_are_those_that_the_strategies_name():
    assert walk("star")["train"][0].models == {"start": "b"}
    assert walk("iterative_dpo")["train"][0].models == {"start": "m", "reference": "m"}
    assert walk("expert_iteration")["sample"][0].models == {"policy": "m"}


def test_the_seed_depends_on_run_round_attempt_and_stage_and_not_on_the_shard():
    base = walk("star")
    assert base["sample"][0].seed == base["sample"][1].seed
    assert base["sample"][0].seed != base["sample_hinted"][0].seed
    for other in (replace(GROUND, seed=8), *(replace(GROUND, label=Label("one", r, "", "", a)) for r, a in ((3, 1), (2, 2)))):
        assert walk("star", other)["sample"][0].seed != base["sample"][0].seed
    renamed = replace(GROUND, label=Label("another", 2, "", ""))
    assert walk("star", renamed)["sample"][0].seed == base["sample"][0].seed


def test_every_round_and_attempt_is_evaluated_with_the_same_draws():
    evaluator = recipes.load("star")[0].evaluators[0]
    seeds = {
        plan.evaluate_sample_jobs(evaluator, "m", "gate", ("p/0",), replace(GROUND, label=Label("one", r, "", "", a)))[0].seed
        for r, a in ((0, 1), (3, 1), (3, 2))
    }
    assert len(seeds) == 1


def test_a_reference_that_is_not_known_says_what_is():
    with pytest.raises(UnknownName, match=r"no model reference 'prevous'.*did you mean 'previous'"):
        GROUND.model("prevous", "policy")
    with pytest.raises(UnknownName, match="no role 'judge'"):
        GROUND.model("base", "judge")
    with pytest.raises(UserError, match="nothing to replay: no examples are known for 'base'"):
        walk("warm_only", replace(GROUND, replay={}))


@pytest.mark.parametrize(("number", "digest"), [(1, "b"), (2, "b"), (3, "r2"), (4, "r2")])
def test_a_rounds_model_is_the_base_model_until_that_round_has_ended(number: int, digest: str):
    ended = {f"round:{n}": {"policy": f"r{n}"} for n in range(1, number)}
    ground = replace(GROUND, label=replace(GROUND.label, round=number), models={**GROUND.models, **ended})
    stage = Stage(verb="train", run=(Sft(steps=1, start_from="round:2"),))
    assert plan.train_job(Phase(stages=(stage,)), stage, Result({}), ground).models == {"start": digest}


def test_a_second_attempt_at_a_round_does_not_begin_with_what_the_first_made():
    ground = replace(GROUND, label=replace(GROUND.label, attempt=2), models={**GROUND.models, "round:2": {"policy": "rejected"}})
    assert ground.model("round:2", "policy") == "b"


def test_a_phase_can_read_another_phases_stage():
    phase = Phase(name="second", stages=(Stage(verb="verify", reads=("main/sample",)),))
    done = {"main/sample": Result({"completions": ("c/0", "c/1")}, (GROUND.problem_result(),))}
    stage = phase.pipeline[0]
    jobs = plan.verify_jobs(phase, stage, plan.reading(phase, stage, done, GROUND), GROUND)
    assert [job.inputs["completions"] for job in jobs] == [("c/0",), ("c/1",)]
    wrong = Phase(name="third", stages=(Stage(verb="verify", reads=("main/smaple",)),))
    with pytest.raises(UnknownName, match="did you mean 'main/sample'"):
        plan.reading(wrong, wrong.pipeline[0], done, GROUND)


CAST = replace(
    GROUND,
    models={**GROUND.models, "external:rm": {"judge": "e"}, "previous": {"policy": "m", "judge": "j"}},
    engines={"judge": {"strategy": "lib.engines.huggingface:Huggingface"}},
)


def verifying(*verifiers, ground=CAST, **stage):
    phase = Phase(name="second", stages=(Stage(verb="verify", reads=("main/sample",), run=verifiers, **stage),))
    done = {"main/sample": Result({"completions": ("c/0", "c/1")}, (ground.problem_result(),))}
    return plan.verify_jobs(phase, phase.pipeline[0], plan.reading(phase, phase.pipeline[0], done, ground), ground)


def test_verifiers_meet_the_models_that_they_name_each_by_its_own_engine():
    mix = Mix(of=(Likelihood(model="base"), Answer()), gates=(Judge(role="judge", model="external:rm"),))
    job = verifying(Likelihood(), mix)[0]
    assert job.models == {"policy": "m", "policy@base": "b", "judge@external:rm": "e"}
    assert job.settings["engine"] == GROUND.engine
    assert job.settings["engines"] == CAST.engines
    assert job.needs_device
    assert job.seed != 0


def test_verifiers_without_a_model_need_neither_device_nor_seed_nor_engine():
    job = verifying(Answer())[1]
    assert (job.models, job.needs_device, job.seed) == ({}, False, 0)
    assert job.settings == {"verifiers": [Answer().model_dump(mode="json")]}
    assert verifying(Answer(), gold="answer")[0].settings["gold"] == "answer"


def test_an_engine_that_no_role_of_the_stage_uses_stays_out_of_its_key():
    assert "engines" not in verifying(Likelihood())[0].settings
    assert "engine" not in verifying(Judge(role="judge"))[0].settings


DRAWN = Result({"problems": ("p/0",), "completions": ("c/0",), "rivals": ()})


def test_an_evaluators_verifiers_can_ask_the_model_that_is_measured_or_one_that_stays():
    evaluator = recipes.load("star")[0].evaluators[0]
    still, moving = Likelihood(model="base"), Likelihood(name="own", model="measured")
    jobs = {}
    for model in ("m1", "m2"):
        asked = evaluator.model_copy(update={"verifiers": (still, moving)})
        jobs[model] = plan.evaluate_verify_jobs(asked, model, "gate", DRAWN, CAST)[0]
        assert jobs[model].models == {"policy@base": "b", "policy@measured": model}
        assert jobs[model].needs_device
    assert jobs["m1"].seed == jobs["m2"].seed != 0
    plain = evaluator.model_copy(update={"verifiers": (Answer(),)})
    (job,) = plan.evaluate_verify_jobs(plain, "m1", "gate", DRAWN, CAST)
    assert job.inputs == {"problems": ("p/0",), "completions": ("c/0",)}
    assert (job.models, job.seed, job.needs_device) == ({}, 0, False)


def test_what_follows_on_problems_that_a_stage_made_is_about_them_alone():
    given = GROUND.problem_result()
    asked = Result({"completions": ("ask/0", "ask/1")}, (given,))
    born = Result({"problems": ("born/0",), "example_sources": ("born",)}, (asked,))
    phase = Phase(
        stages=(Stage(verb="sample", run=(WithHint(),)), Stage(verb="verify", run=(Answer(),)), Stage(verb="filter", run=(KeepCorrect(),)))
    )
    (sampling,) = plan.sample_jobs(phase, phase.stages[0], born, GROUND)
    assert sampling.inputs == {"problems": ("born/0",)}
    answered = Result({"completions": ("answer/0",)}, (born,))
    (verifying,) = plan.verify_jobs(phase, phase.stages[1], answered, GROUND)
    assert verifying.inputs == {"problems": ("born/0",), "completions": ("answer/0",)}
    filtering = plan.filter_job(phase, phase.stages[2], answered, GROUND)
    assert filtering.inputs == {"problems": ("born/0",), "completions": ("answer/0",), "held_out": ("h/0",)}
    both = Result({}, (asked, answered))
    with pytest.raises(UserError, match="stage 'sample' reads stages that worked on different problems"):
        plan.sample_jobs(phase, phase.stages[0], both, GROUND)
    assert plan.filter_job(phase, phase.stages[2], both, GROUND).inputs["completions"] == ("ask/0", "ask/1", "answer/0")


def test_a_verifier_that_looks_back_is_given_all_that_its_stage_reads_in_one_job():
    proposals = Result({"completions": ("a/0", "a/1")}, (Result({"problems": ("p/0", "p/1")}),))
    born = Result({"problems": ("b/0",)}, (proposals,))
    vote = Result({"verdicts": ("v",)}, (Result({"completions": ("c",)}, (born,)),))
    stage = Stage(verb="verify", name="worth", run=(ProposalReward(),))
    (job,) = plan.verify_jobs(Phase(stages=(stage,)), stage, Result({}, (proposals, vote)), GROUND)
    assert job.inputs == {"problems": ("p/0", "p/1", "b/0"), "completions": ("a/0", "a/1", "c"), "verdicts": ("v",)}
    assert (job.seed, job.needs_device) == (0, False)


def test_only_a_builder_of_problems_is_told_the_round():
    read = Result({"completions": ("c",)})
    for run, told in (((BornProblems(),), {"round": 2}), ((KeepCorrect(),), {}), ((), {})):
        stage = Stage(verb="filter", run=run)
        settings = plan.filter_job(Phase(stages=(stage,)), stage, read, GROUND).settings
        assert {name: value for name, value in settings.items() if name != "filters"} == told


def test_a_trainer_can_start_from_another_roles_model():
    class FromPolicy(Sft):
        start_role: str = "policy"

    phase = Phase(name="value", role="value", stages=(Stage(verb="train", run=(FromPolicy(start_from="previous"),)),))
    assert plan.train_job(phase, phase.stages[0], GROUND.problem_result(), GROUND).models == {"start": "m"}


def test_an_evaluators_scorer_verifies_with_the_others_and_token_scores_reach_it():
    evaluator = Drift(verifiers=(Answer(),))
    (job,) = plan.evaluate_verify_jobs(evaluator, "m", "gate", DRAWN, CAST)
    assert job.settings["verifiers"] == [Answer().model_dump(mode="json"), evaluator.scorer.model_dump(mode="json")]
    assert job.models == {"policy@base": "b"}
    fed = Result({"verdicts": ("v/0",), "token_scores": ("v/0",), "nodes": ()}, (DRAWN,))
    wanted = {"problems": ("p/0",), "completions": ("c/0",), "verdicts": ("v/0",), "token_scores": ("v/0",)}
    assert plan.evaluate_job(evaluator, "m", "gate", fed, CAST).inputs == wanted


def test_a_rival_is_sampled_alike_and_judged_with_the_model_that_is_measured():
    evaluator = WinRate(scorer=Judge(form="pairwise", model="base"), verifiers=(Answer(),))
    mine = plan.evaluate_sample_jobs(evaluator, "m", "gate", ("p/0", "p/1"), CAST)
    its = plan.rival_sample_jobs(evaluator, "m", "gate", ("p/0", "p/1"), CAST)
    assert [job.models for job in (*mine, *its)] == [{"policy": "m"}] * 2 + [{"policy": "b"}] * 2
    assert [(job.seed, job.settings, job.inputs) for job in mine] == [(job.seed, job.settings, job.inputs) for job in its]
    drawn = Result({"problems": ("p/0", "p/1"), "completions": ("c/0", "c/1"), "rivals": ("r/0", "r/1")})
    verifying = plan.evaluate_verify_jobs(evaluator, "m", "gate", drawn, CAST)
    assert verifying[1].inputs == {"problems": ("p/1",), "completions": ("c/1",), "rivals": ("r/1",)}
    fed = Result({"verdicts": ("v/0", "v/1")}, (drawn,))
    assert plan.evaluate_job(evaluator, "m", "gate", fed, CAST).inputs["rivals"] == ("r/0", "r/1")


def test_the_model_that_others_are_measured_against_meets_nobody():
    assert plan.rival_sample_jobs(WinRate(scorer=Judge(form="pairwise", model="base")), "b", "gate", ("p/0",), CAST) == []
    assert plan.rival_sample_jobs(Drift(), "m", "gate", ("p/0",), CAST) == []


@pytest.mark.parametrize(
    ("memory", "examples"), [({}, ("e1", "e2", "e3")), ({"keep_rounds": 1}, ("e2", "e3")), ({"keep_rounds": 5}, ("e1", "e2", "e3"))]
)
def test_the_oldest_rounds_are_let_go(memory: dict, examples: tuple[str, ...]):
    phase = Phase(trainer=Sft(steps=3), accumulate="all", **memory)
    job = plan.train_job(phase, phase.pipeline[0], Result({"examples_sft": ("e3",)}), GROUND)
    assert job.inputs["examples"] == examples


def test_what_earlier_attempts_at_a_round_read_counts_as_no_round():
    attempts = Result({}, tuple(Result({"examples_sft": (name,)}) for name in ("e2a", "e2b")))
    earlier = {"all": {1: Result({"examples_sft": ("e1",)}), 2: attempts, 3: Result({"examples_sft": ("e3a",)})}}
    ground = replace(GROUND, label=replace(GROUND.label, round=3, attempt=2), earlier={"main/train": earlier})
    phase = Phase(trainer=Sft(steps=3), accumulate="all", keep_rounds=1)
    job = plan.train_job(phase, phase.pipeline[0], Result({"examples_sft": ("e3b",)}), ground)
    assert job.inputs["examples"] == ("e2a", "e2b", "e3a", "e3b")


def test_how_many_examples_stay_is_a_setting_of_the_job_alone_where_it_is_set():
    phase = Phase(trainer=Sft(steps=3), keep_rows=5, evict="random")
    jobs = [plan.train_job(phase, phase.pipeline[0], Result({}), replace(GROUND, label=Label("one", n, "", ""))) for n in (1, 2)]
    kept = jobs[0].settings["keep"]
    assert (kept["rows"], kept["evict"]) == (5, "random")
    assert kept == jobs[1].settings["keep"]  # the same seed in every round, so that what went stays away
    plain = Phase(trainer=Sft(steps=3))
    assert "keep" not in plan.train_job(plain, plain.pipeline[0], Result({}), GROUND).settings
