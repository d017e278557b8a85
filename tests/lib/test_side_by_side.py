"""What a comparison says of courses whose figures are known."""

from dataclasses import replace

import pytest

from lib.comparison_settings import Comparison
from lib.paired import Estimate, estimate
from lib.side_by_side import found, pairs, sentence, verdict
from tests.comparison_courses import PROBLEMS, comparison, courses


def mean(value: float, low: float | None, high: float | None, p: float | None, seeds: int = 3, stderr: float | None = 0.01) -> Estimate:
    return Estimate(value, stderr, low, high, p, None if low is None else 100.0, seeds, 400)


@pytest.mark.parametrize(
    ("found", "p", "metric", "words"),
    [
        (
            mean(0.05, 0.02, 0.08, 0.001),
            0.003,
            "pass_at_1",
            "a is better than b in pass@1 by 0.050 (0.020 to 0.080; 3 seeds, 400 problems)",
        ),
        (
            mean(-0.05, -0.08, -0.02, 0.001),
            0.003,
            "pass_at_8",
            "a is worse than b in pass@8 by 0.050 (0.020 to 0.080; 3 seeds, 400 problems)",
        ),
        (
            mean(-0.05, -0.08, -0.02, 0.001, seeds=1),
            0.003,
            "nll_correct",
            "a is lower than b in loss of correct answers by 0.050 (0.020 to 0.080; 400 problems; seeds were not varied)",
        ),
        (
            mean(0.01, -0.02, 0.04, 0.5),
            1.0,
            "pass_at_1",
            "a − b in pass@1: unresolved: +0.010 (−0.020 to +0.040; 3 seeds, 400 problems); an effect of 0.033 could have been seen",
        ),
        (
            mean(0.03, 0.001, 0.059, 0.04),
            0.12,
            "pass_at_1",
            "a − b in pass@1: unresolved: +0.030 (+0.001 to +0.059; 3 seeds, 400 problems), which alone would be p = 0.04, but not among "
            "3 pairs; an effect of 0.033 could have been seen",
        ),
        (
            mean(0.0, None, None, None, stderr=0.0),
            None,
            "pass_at_1",
            "a and b are level in pass@1 (3 seeds, 400 problems): nothing varied, so there is no interval",
        ),
        (
            mean(0.25, None, None, None, stderr=0.0),
            None,
            "pass_at_1",
            "a − b in pass@1: unresolved: +0.250 (3 seeds, 400 problems): nothing varied, so there is no interval",
        ),
        (
            mean(0.0, -0.02, 0.02, 1.0),
            1.0,
            "pass_at_1",
            "a − b in pass@1: unresolved: level (−0.020 to +0.020; 3 seeds, 400 problems); an effect of 0.033 could have been seen",
        ),
    ],
)
def test_a_pair_is_told_in_one_plain_sentence(found: Estimate, p: float | None, metric: str, words: str):
    # Bonferroni's level among 3 pairs is 0.05 / 3: t of 100 degrees is 2.435 there, and 0.845 at 0.8
    assert sentence("a", "b", metric, found, p, 3) == words


def test_the_better_recipe_is_found_and_the_idle_one_is_not_told_from_its_base():
    asked = comparison()
    facts = found(asked, courses(asked), {})
    said = {(row["new"], row["old"]): row for row in facts["differences"] if row["metric"] == "pass_at_1"}
    assert list(said) == [("good", "poor"), ("good", "base"), ("poor", "base")]
    assert [row["verdict"] for row in said.values()] == ["better", "better", "unresolved"]
    by_hand = [
        course.test[2].items["pass_at_1"][problem] - other.test[2].items["pass_at_1"][problem]
        for course, other in zip(courses(asked)[::2], courses(asked)[1::2], strict=True)
        for problem in PROBLEMS
    ]
    assert said["good", "poor"]["difference"] == pytest.approx(sum(by_hand) / 120)
    assert said["good", "poor"]["p_holm"] >= said["good", "poor"]["p"]
    assert {row["round"] for row in facts["campaigns"]} == {2}
    assert facts["notes"][0] == "All campaigns are compared at round 2, with the model that each had accepted by then."
    assert facts["notes"][1] == "All campaigns of a seed began with the same model, and all have the same problems."
    assert [row["recipe"] for row in facts["test"] if row["metric"] == "pass_at_8"] == ["good", "poor", "base"]


def test_a_budget_compares_each_at_the_last_round_that_fits_into_its_own():
    asked = comparison(budget_tokens=15_000)  # good takes 11,000 a round, poor 2,000
    all_of = courses(asked)
    facts = found(asked, all_of, {})
    assert facts["notes"][0].endswith("with the model that it had accepted by then: good at round 1 and poor at round 2.")
    assert "had 15,000 tokens to sample and to train on, evaluation apart" in facts["notes"][0]
    taken = {(row["recipe"], row["round"], row["sampled"], row["trained"]) for row in facts["campaigns"]}
    assert taken == {("good", 1, 1000, 10_000), ("poor", 2, 2000, 2000)}
    assert {(row["recipe"], *row["rounds"]) for row in facts["test"]} == {("good", 1), ("poor", 2), ("base", 0)}
    value = next(row["value"] for row in facts["test"] if (row["recipe"], row["metric"]) == ("good", "pass_at_1"))
    assert value == pytest.approx(sum(course.test[1].metrics["pass_at_1"][0] for course in all_of if course.member.recipe == "good") / 2)
    good = next(line for line in facts["curves"]["pass_at_1"] if line["recipe"] == "good")
    assert [(point["round"], point["trained"], point["seeds"]) for point in good["points"]] == [(0, 0, 2), (1, 10_000, 2), (2, 20_000, 2)]


def test_without_a_budget_all_are_compared_at_the_last_round_that_all_reached():
    asked = comparison()
    all_of = courses(asked)
    del all_of[1].tokens[2]  # poor, seed 0
    facts = found(asked, all_of, {})
    assert {row["round"] for row in facts["campaigns"]} == {1}
    assert facts["notes"][0].startswith("All campaigns are compared at round 1,")


def test_a_budget_for_not_even_one_round_is_said():
    facts = found(asked := comparison(budget_tokens=10), courses(asked), {})
    assert {row["round"] for row in facts["campaigns"]} == {0}
    assert facts["notes"][1] == "Of good and poor not one round fits: what stands there is the base model."
    assert {row["verdict"] for row in facts["differences"]} == {"level"}
    facts = found(asked := comparison(budget_tokens=5000), courses(asked), {})
    assert facts["notes"][1] == "Of good not one round fits: what stands there is the base model."


def test_the_model_that_a_gate_rejected_is_not_what_a_campaign_stands_with():
    asked = comparison()
    all_of = courses(asked)
    for course in all_of:
        if course.member.recipe == "good":
            course.test[2] = replace(course.test[2], state="rejected")
    facts = found(asked, all_of, {})
    assert {row["model_of_round"] for row in facts["campaigns"] if row["recipe"] == "good"} == {1}


def test_a_campaign_that_failed_is_left_out_for_its_seed_alone():
    asked = comparison()
    there = [course for course in courses(asked) if course.member.campaign != "x-poor-seed1"]
    facts = found(asked, there, {"x-poor-seed1": "the disk is full"})
    assert facts["failed"] == [{"campaign": "x-poor-seed1", "recipe": "poor", "seed": 1, "reason": "the disk is full"}]
    assert facts["notes"][-1] == "Left out, because they failed: x-poor-seed1 (the disk is full)."
    said = {(row["new"], row["old"]): row["seeds"] for row in facts["differences"] if row["metric"] == "pass_at_1"}
    assert said == {("good", "poor"): 1, ("good", "base"): 2, ("poor", "base"): 1}
    whole = {row["campaign"] for row in facts["campaigns"]}
    assert whole == {"x-good-seed0", "x-good-seed1", "x-poor-seed0"}


def test_one_seed_is_said_not_to_have_been_varied():
    asked = comparison(seeds=(0,))
    facts = found(asked, courses(asked), {})
    assert "There is one seed, so seeds were not varied: the intervals are over problems alone." in facts["notes"]
    assert "seeds were not varied" in facts["differences"][0]["sentence"]


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({"models": {"policy": "other"}, "problems": ["countdown"]}, "The campaigns of seed 1 did not begin with the same model"),
        ({"models": {"policy": "m1"}, "problems": ["others"]}, "The campaigns do not have the same problems"),
    ],
)
def test_campaigns_that_did_not_begin_alike_are_no_fair_comparison(start: dict, words: str):
    asked = comparison()
    all_of = courses(asked)
    all_of[-1] = replace(all_of[-1], start=start)
    assert found(asked, all_of, {})["notes"][1].startswith(words)


def test_what_is_equal_everywhere_is_level():
    rows = {name: {0: dict.fromkeys("abc", 0.5), 1: dict.fromkeys("abc", 0.5)} for name in ("a", "b")}
    (row,) = pairs("pass_at_1", rows)
    assert (row["verdict"], row["stderr"], row["low"], row["high"], row["p"], row["p_holm"]) == ("level", 0.0, None, None, None, None)
    assert verdict(estimate({0: {"a": 0.0}}), None, "pass_at_1") == "level"


def test_two_recipes_of_one_name_are_refused():
    with pytest.raises(Exception, match="two of the recipes have the same name"):
        Comparison(name="x", recipes=("/a/r.py", "/b/r.py"), seeds=(0,)).members()
