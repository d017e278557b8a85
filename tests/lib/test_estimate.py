"""What stages would cost: tokens that judges write are counted too."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.controllers.balance import Balance
from lib.estimate import Rates, evaluation_cost, rates, round_cost
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.born_problems import BornProblems
from lib.home import Home
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.chain import Chain
from lib.samplers.game import Game
from lib.samplers.independent import Independent
from lib.samplers.propose import Propose
from lib.samplers.with_tools import WithTools
from lib.store import Store
from lib.tools.calculator import Calculator
from lib.trainers.sft import Sft
from lib.verifiers.answer import Answer
from lib.verifiers.judge import Judge
from lib.verifiers.mix import Mix
from tests.small_home import SmallHome

AT = Rates(per_token=0.01, per_step=1.0, measured=True)
COUNTS = {"train": 10, "validation": 5, "gate": 5}


def recipe(*verifiers) -> Recipe:
    phase = Phase(sampler=Independent(n=4, max_new_tokens=8), verifiers=verifiers, trainer=Sft(steps=3))
    return Recipe(phases=(phase,), evaluators=(PassAtK(k=(1,), sampler=Independent(n=2, max_new_tokens=8), verifiers=verifiers),))


@pytest.mark.parametrize(
    ("verifiers", "tokens"),
    [
        ((Answer(),), 0),
        ((Judge(max_new_tokens=100),), 10 * 4 * 100),
        ((Judge(max_new_tokens=100, votes=3, temperature=1.0),), 10 * 4 * 3 * 100),
        ((Judge(max_new_tokens=100, form="pairwise"),), 10 * 4 * 3 * 100),
        ((Mix(of=(Answer(), Judge(max_new_tokens=50))),), 10 * 4 * 50),
    ],
)
def test_judges_write_tokens_for_every_completion_vote_and_rival(verifiers, tokens):
    found = {cost.stage: cost for cost in round_cost(recipe(*verifiers), COUNTS, AT)}
    assert found["main/sample"].tokens == 10 * 4 * 8
    assert ("main/verify" in found) == bool(tokens)
    if tokens:
        assert found["main/verify"].tokens == tokens
        assert found["main/verify"].seconds == pytest.approx(tokens * 0.01)


def test_an_evaluation_counts_its_judges_beside_its_sampling():
    cost = evaluation_cost(recipe(Judge(max_new_tokens=100)), "validation", 5, AT)
    assert cost.tokens == 5 * 2 * 8 + 5 * 2 * 100
    assert cost.seconds == pytest.approx(cost.tokens * 0.01)


@pytest.mark.parametrize(("problems", "probed"), [(None, 10), (3, 3), (99, 10)])
def test_probes_are_sampled_for_every_point_of_their_grid(problems, probed):
    phase = Phase(
        controllers=(Balance(temperatures=(0.5, 1.0), n=16, probe_problems=problems),),
        sampler=Independent(n=4, max_new_tokens=8),
        trainer=Sft(steps=3),
    )
    found = {cost.stage: cost for cost in round_cost(Recipe(phases=(phase,), evaluators=()), COUNTS, AT)}
    assert (found["main/balance"].completions, found["main/balance"].tokens) == (2 * 16 * probed, 2 * 16 * probed * 8)
    assert found["main/sample"].completions == 10 * 4


NOTES = Chain(n=3, max_new_tokens=5)
MOST = {
    "turns that follow attempts of their own": (Chain(first=Independent(n=4, max_new_tokens=8), n=2, turns=2, max_new_tokens=10), 20, 192),
    "feedback between them": (
        Chain(op="feedback_refine", first=Independent(n=1, max_new_tokens=8), feedback=NOTES, max_new_tokens=6),
        7,
        41,
    ),
    "the turns of games": (Game(n=2, turns=12, max_new_tokens=8), 24, 192),
    "what a tool makes anew": (WithTools(tools=(Calculator(),), n=2, calls=3, max_new_tokens=10), 2, 80),
    "proposals": (Propose(n=4, max_new_tokens=6), 4, 24),
}
"""Sampler → completions and tokens of one problem, counted by hand."""


@pytest.mark.parametrize("name", MOST)
def test_samplers_of_many_turns_are_counted_whole(name):
    sampler, completions, tokens = MOST[name]
    phase = Phase(sampler=sampler, trainer=Sft(steps=3))
    found = {cost.stage: cost for cost in round_cost(Recipe(phases=(phase,), evaluators=()), COUNTS, AT)}["main/sample"]
    assert (found.completions, found.tokens) == (10 * completions, 10 * tokens)


def test_turns_that_follow_an_earlier_stage_and_answers_to_new_problems_are_counted():
    stages = (
        Stage(verb="sample", name="propose", run=(Propose(n=4, contexts=2, max_new_tokens=6),)),
        Stage(verb="filter", name="born", run=(BornProblems(),)),
        Stage(verb="sample", name="answer", run=(Independent(n=3, max_new_tokens=8),)),
        Stage(verb="sample", name="again", run=(Chain(n=2, max_new_tokens=8),)),
        Stage(verb="sample", name="once", run=(Chain(of="first", max_new_tokens=8),)),
    )
    found = {cost.stage: cost.completions for cost in round_cost(Recipe(phases=(Phase(stages=stages),), evaluators=()), COUNTS, AT)}
    # 8 proposals of 2 problems; 3 answers to each, 2 turns to each answer, 1 more to one answer of each
    assert [found[f"main/{name}"] for name in ("propose", "answer", "again", "once")] == [8, 24, 48, 8]


def test_rates_are_of_work_of_one_kind(tmp_path: Path):
    small = SmallHome(Home(tmp_path), Store(Home(tmp_path).store))
    for kind, stats in (
        ("sample", {"tokens_sampled": 100, "seconds": 2.0}),
        ("train", {"steps": 10, "seconds": 5.0}),
        ("train", {"tokens_sampled": 100, "steps": 10, "seconds": 500.0}),
    ):
        small.publish(kind, stats, {}, {}, {"told.json": str(stats)}, stats=stats)
    assert rates(small.store) == Rates(0.02, 0.5, measured=True)
