"""What the page of recipes says of figures that are known, and what of a campaign is kept for it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from bench import recipes, recipes_page
from bench.recipes_claims import CLAIMS, LAST, Question, Term, Trend, gains_more, more, no_gain
from bench.recipes_figures import packed, pass_at, unpacked, values
from bench.recipes_page import measured, page, section, verdict

NAMES = [f"p{number:02d}" for number in range(80)]


def campaign(recipe: str, seed: int, skills: tuple[float, ...], gap: tuple[float, ...] = (), problems: str = "same") -> dict:
    """A row of the file: models whose samples are right with a chance of their own."""
    rounds = []
    for number, skill in enumerate(skills):
        draw = random.Random(f"{recipe} {seed} {number}")
        shares = {name: sum(draw.random() < skill for _ in range(8)) / 8 for name in NAMES}
        figures = {"main/train": {"margin_last": gap[number - 1]}} if number and gap else {}
        mean = sum(shares.values()) / len(shares)
        rounds.append(
            {
                "round": number,
                "sampled": 1000 * number,
                "trained": 500 * number,
                "metrics": {"pass_at_1": [mean, 0.01], "greedy_accuracy": [0.5, 0.1]},
                "items": {"pass_at_1": {**packed(shares, NAMES), "of": 8, "digits": "".join(str(round(8 * shares[n])) for n in NAMES)}},
                "figures": figures,
            }
        )
    settings = {"rounds": 4, "options": ["--count", "80"], "most_steps": 30, "own": {"trainer.beta": 0.2} if recipe == "own" else {}}
    return {"recipe": recipe, "seed": seed, "settings": settings, "problems": problems, "rounds": rounds}


def rows(*recipes: tuple[str, tuple[float, ...]]) -> list[dict]:
    return [campaign(recipe, seed, skills) for recipe, skills in recipes for seed in range(3)]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"a": 0.0, "b": 1.0}, {"of": 1, "low": 0, "digits": "01-"}),
        ({"a": 0.125, "c": 1.0}, {"of": 8, "low": 0, "digits": "1-8"}),
        ({"a": -1.0, "b": 0.0, "c": 1.0}, {"of": 1, "low": -1, "digits": "012"}),
        ({"a": 3.0, "b": 7.0, "c": 0.0}, {"of": 1, "low": 0, "digits": "370"}),
        ({"a": 0.3}, None),
        ({"a": 12.0}, None),
    ],
)
def test_values_that_are_whole_parts_are_a_digit_a_problem(given: dict, found: dict | None):
    assert packed(given, "abc") == found
    if found is not None:
        assert unpacked(found) == {str("abc".index(name)): value for name, value in given.items()}


@pytest.mark.parametrize(("k", "correct", "share"), [(1, 3, 3 / 8), (8, 0, 0.0), (8, 1, 1.0), (2, 4, 1 - 6 / 28)])
def test_pass_at_k_follows_from_how_many_of_eight_were_right(k: int, correct: int, share: float):
    assert pass_at(k, correct, 8) == pytest.approx(share)
    row = {"items": {"pass_at_1": {"of": 8, "low": 0, "digits": str(correct)}}}
    assert values(row, f"pass_at_{k}") == {"0": pytest.approx(share)}
    assert values(row, "pass_at_16") == values(row, "tree_found") == {}


def test_a_question_is_paired_by_seed_and_problem():
    given = rows(("a", (0.3, 0.6)), ("b", (0.3, 0.3)))
    found = measured(more("a", "b", "pass_at_1"), given)
    means = [sum(values(row["rounds"][-1], "pass_at_1").values()) / 80 for row in given]
    assert found.value == pytest.approx((sum(means[:3]) - sum(means[3:])) / 3)
    assert (found.seeds, found.problems) == (3, 80)
    assert measured(more("a", "b", "pass_at_1"), [*given[:3], campaign("b", 1, (0.3, 0.3))]).seeds == 1
    assert measured(more("a", "c", "pass_at_1"), given) is None
    assert measured(more("a", "b", "pass_at_1"), [*given[:3], campaign("b", 0, (0.3, 0.3), problems="others")]) is None


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (more("a", "b", "pass_at_1"), "holds"),
        (more("b", "a", "pass_at_1"), "does not hold"),
        (more("b", "c", "pass_at_1"), "unresolved"),
        (no_gain("a", "pass_at_1"), "does not hold"),
        (more("a", "none", "pass_at_1"), "unresolved"),
        (gains_more("a", "pass_at_1", "pass_at_8"), "holds"),
    ],
)
def test_an_interval_on_one_side_of_the_limit_decides(question: Question, said: str):
    given = rows(("a", (0.3, 0.6)), ("b", (0.3, 0.3)), ("c", (0.3, 0.3)))
    assert verdict(question, measured(question, given)) == said


def test_a_trend_has_a_value_a_seed_and_one_seed_resolves_nothing():
    question = Question("the gap shrinks", (Trend(-1, "a", "margin_last"),))
    given = [campaign("a", seed, (0.3, 0.3, 0.3), (2.0, 1.0 + 0.1 * seed)) for seed in range(3)]
    found = measured(question, given)
    assert (found.value, found.seeds, found.problems) == (pytest.approx(0.45), 3, 1)
    assert verdict(question, found) == "holds"
    assert verdict(question, measured(question, given[:1])) == "unresolved"
    assert measured(question, rows(("a", (0.3, 0.3)))) is None


def test_the_page_has_every_claim_and_says_what_was_not_run():
    text = page(rows(("expert_iteration", (0.3, 0.6)), ("no_filter", (0.3, 0.3)), ("warm_only", (0.3, 0.35))))
    assert text.count("\n## ") == 1 + len(CLAIMS)
    assert "| expert_iteration | 3 | 1 | 0." in text
    assert "- expert_iteration has more pass@1 than no_filter: holds, +0." in text
    assert "no_filter_equal: unresolved, for no_filter_equal was not run." in text
    assert "**It is unresolved here.**" in text
    assert recipes_page.page([]).count("was not run") > 10


def test_the_page_says_how_the_campaigns_were_begun():
    text = page(rows(("a", (0.3, 0.6)), ("own", (0.3, 0.3))))
    assert "\n6 campaigns of 4 rounds with `--count 80`, trainings of 30 steps at most.\nown with `trainer.beta=0.2`.\n" in text


def test_a_claim_of_two_questions_holds_only_if_both_do():
    given = rows(("expert_iteration", (0.3, 0.6)), ("no_filter", (0.3, 0.3)), ("no_filter_equal", (0.3, 0.3)))
    assert section(1, CLAIMS[0], given)[-1] == "**It holds here.**"
    given = rows(("expert_iteration", (0.3, 0.6)), ("no_filter", (0.3, 0.3)), ("no_filter_equal", (0.3, 0.9)))
    assert section(1, CLAIMS[0], given)[-1] == "**It does not hold here in all that it says.**"


def test_every_term_names_a_round_and_every_claim_its_source():
    terms = [term for claim in CLAIMS for question in claim.questions for term in question.terms]
    assert all(term.round in (LAST, 0) for term in terms if isinstance(term, Term))
    assert all(claim.source for claim in CLAIMS)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_slice_is_run_kept_and_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ROUNDHOUSE_HOME", str(tmp_path / "home"))
    out = tmp_path / "figures.json"
    settings = {
        "rounds": 1,
        "options": ["--count", "40", "--held-out", "12", "--warm-steps", "20", "--set", "trainer.steps=2"],
        "most_steps": 700,
    }
    assert recipes.run(tmp_path / "home", out, ["warm_only", "no_filter"], 0, settings, 2) == []
    kept = recipes.load(out)
    assert [(row["recipe"], row["seed"], len(row["rounds"])) for row in kept] == [("no_filter", 0, 2), ("warm_only", 0, 2)]
    assert all(len(row["rounds"][1]["items"]["pass_at_1"]["digits"]) == 12 for row in kept)
    assert all("loss_first" in row["rounds"][1]["figures"]["main/train"] for row in kept)
    (tmp_path / "home").rename(tmp_path / "gone")
    assert recipes.run(tmp_path / "home", out, ["warm_only", "no_filter"], 0, settings, 2) == []
    assert not (tmp_path / "home").exists(), "another machine has nothing to do"
    assert json.loads(out.read_text()) == kept
