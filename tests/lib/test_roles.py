"""Each role that a round trains is measured and decided upon by itself, and has a champion of its own."""

from __future__ import annotations

import pytest

from lib import campaign as campaigns
from lib.campaign_settings import Campaign, ProblemPlan
from lib.errors import UnknownName
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.gate import Gate
from lib.recipe import Phase, Recipe
from lib.roles import judged_roles, measured_role
from lib.round_record import RoundRecord
from lib.samplers.independent import Independent
from lib.soundness import refuse_unsound
from lib.trainers.sft import Sft

ASKS = PassAtK(sampler=Independent(n=8, role="questioner"))


def two_roles(*evaluators, **settings):
    phases = (Phase(name="answer", trainer=Sft()), Phase(name="ask", role="questioner", trainer=Sft()))
    return Recipe(phases=phases, evaluators=evaluators, **settings)


def decided(number, made, **accepted):
    record = RoundRecord("c", number, 1, start={"policy": "p0", "questioner": "q0"}, made=made)
    record.decide({role: {"accepted": found, "sentence": f"{role} {found}"} for role, found in accepted.items()})
    return record


def champions(*records):
    campaign = Campaign("c", "r", {}, 0, ProblemPlan({}, {}), {"policy": "p0", "questioner": "q0"})
    return campaigns.models_by_reference(campaign, list(records))["champion"]


def test_an_evaluator_measures_the_role_that_its_sampler_draws_from():
    assert [measured_role(evaluator) for evaluator in (PassAtK(), ASKS)] == ["policy", "questioner"]
    assert judged_roles((ASKS, PassAtK()), {"policy", "questioner", "critic"}) == ["policy", "questioner"]
    assert judged_roles((PassAtK(), ASKS), {"policy"}) == ["policy"]


def test_one_role_may_be_promoted_and_another_not():
    both = {"policy": "p1", "questioner": "q1"}
    record = decided(1, both, policy=False, questioner=True)
    assert record.state == "rejected"
    assert record.promoted == {"questioner": "q1"}
    assert champions(record) == {"policy": "p0", "questioner": "q1"}
    record = decided(1, both, policy=True, questioner=False)
    assert record.state == "accepted"
    assert champions(record, decided(2, {"questioner": "q2"}, policy=True, questioner=True)) == {"policy": "p1", "questioner": "q2"}


def test_a_role_that_nothing_measures_goes_with_the_round():
    both = {"policy": "p1", "critic": "c1"}
    assert decided(1, both, policy=True).promoted == both
    assert decided(1, both, policy=False).promoted == {}


def test_a_round_that_trains_no_policy_is_called_what_the_roles_it_trained_are():
    assert decided(1, {"questioner": "q1"}, policy=True, questioner=False).state == "rejected"
    assert decided(1, {"questioner": "q1"}, policy=True, questioner=True).state == "accepted"


def test_the_gate_must_find_its_metric_for_every_role_that_it_decides():
    refuse_unsound(two_roles(PassAtK(), ASKS), frozenset())
    greedy = GreedyAccuracy(sampler=Independent(n=1, temperature=0.0, role="questioner"))
    with pytest.raises(UnknownName, match=r"no metric 'pass_at_1' of the evaluators of role 'questioner'"):
        refuse_unsound(two_roles(PassAtK(), greedy), frozenset())
    refuse_unsound(two_roles(PassAtK(), greedy, gate=None), frozenset())
    assert Gate().metric == "pass_at_1"
