"""What stages would cost: tokens that judges write are counted too."""

from __future__ import annotations

import pytest

from lib.estimate import Rates, evaluation_cost, round_cost
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft
from lib.verifiers.answer import Answer
from lib.verifiers.judge import Judge
from lib.verifiers.mix import Mix

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
