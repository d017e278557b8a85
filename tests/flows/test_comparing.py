"""What was typed after `compare`: as a comparison, as a plan, as lines of status; and how much watching many campaigns takes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from flows import wording
from flows.comparing import asked, campaign_asked, checked
from flows.comparing_plan import SHARED, plan
from flows.standing import Standing, comparisons
from flows.watching import watching
from lib.comparison_settings import Comparison, ComparisonFolder
from lib.errors import UserError
from lib.home import Home
from lib.job import Label
from tests.begun_campaign import begun, ended, tell


def compared(recipes: str | None = "expert_iteration,no_filter", name: str = "x", **more: Any) -> Comparison:
    values: dict[str, Any] = {"rounds": 1, "seeds": (None, 2), "budget_tokens": None, "settings": None, "options": {}, **more}
    return asked(name, recipes, **values)


def planned(comparison: Comparison, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    plan(comparison, as_json=True)
    return {row["recipe"]: row for row in json.loads(capsys.readouterr().out)}


def test_options_become_those_of_each_campaign(home: Home):
    comparison = compared(
        settings=["trainer.steps=4", "no_filter:trainer.steps=9"], seeds=(5, 2), options={"count": 40, "held-out": 8, "model": None}
    )
    words = {member.campaign: campaign_asked(comparison, member).words() for member in comparison.members()}
    assert words["x-no_filter-seed6"] == [
        "--recipe", "no_filter", "--set", "trainer.steps=9", "--rounds", "1", "--seed", "6", "--count", "40", "--held-out", "8",
    ]  # fmt: skip
    assert "trainer.steps=4" in words["x-expert_iteration-seed5"]


def test_its_name_alone_goes_on_with_it_and_files_mean_the_same_from_every_folder(home: Home, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    comparison = compared("./mine.py,star")
    assert comparison.recipes == (str(tmp_path / "mine.py"), "star")
    ComparisonFolder(home, "x").keep(comparison)
    monkeypatch.chdir("/")
    again = compared(None, rounds=None, seeds=(None, None))
    assert again == comparison
    assert compared(None, rounds=None, seeds=(None, 3)).seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"recipes": None}, "no comparison 'x' begun here; begin it with --recipes A,B"),
        ({"recipes": ""}, "--recipes '' leaves a name empty; give them as a,b,c"),
        ({"recipes": "expert_iteration, ,no_filter"}, "--recipes 'expert_iteration, ,no_filter' leaves a name empty"),
        ({"recipes": "expert_iteration,expert_iteration"}, "two of the recipes have the same name"),
        ({"recipes": "expert_iteration,no_filtr"}, "recipe 'no_filtr': no recipe 'no_filtr' in lib/recipes"),
        ({"settings": ["wrong:trainer.steps=4"]}, "no recipe 'wrong' in this comparison, for --set wrong:…"),
        ({"settings": ["trainer.steps"]}, "--set trainer.steps: write it as NAME=VALUE"),
        (
            {"recipes": "expert_iteration,warm_only", "settings": ["sampler.n=4"]},
            "recipe 'warm_only': 'sampler.n': no phase of this recipe has sampler; --set RECIPE:PATH=VALUE sets it for one recipe alone",
        ),
        ({"name": "a name"}, "'a name' cannot name a campaign"),
        ({"name": "n" * 50}, "cannot name a campaign; use letters"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(home: Home, more: dict[str, Any], words: str):
    with pytest.raises(UserError) as raised:
        checked(compared(**more), home)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not home.comparisons.exists()


def test_a_setting_that_one_recipe_lacks_can_be_set_for_the_other(home: Home):
    comparison = compared("expert_iteration,warm_only", settings=["expert_iteration:sampler.n=4"])
    assert len(checked(comparison, home)) == 4


def test_a_plan_counts_what_recipes_share_once(home: Home, capsys: pytest.CaptureFixture[str]):
    options = {"count": 40, "held-out": 8, "warm-steps": 30}
    both = planned(compared(settings=["trainer.steps=4"], options=options), capsys)
    alone = planned(compared("expert_iteration", name="y", settings=["trainer.steps=4"], options=options), capsys)
    assert list(both) == [SHARED, "expert_iteration", "no_filter", "total"]
    assert both[SHARED]["steps"] == 2 * 30, "a warm start of each seed"
    assert both[SHARED]["completions"] >= 2 * 40 * 8, "both sample alike in round 1"
    assert both["expert_iteration"]["steps"] == both["no_filter"]["steps"] == 2 * 4
    shared_and_own = both[SHARED]["completions"] + both["expert_iteration"]["completions"]
    assert shared_and_own == alone["expert_iteration"]["completions"] == alone["total"]["completions"], "one alone shares nothing"
    assert both["total"]["tokens at most"] == sum(both[name]["tokens at most"] for name in (SHARED, "expert_iteration", "no_filter"))
    assert not home.comparisons.exists()


def test_a_plan_is_capped_by_the_budget(home: Home, capsys: pytest.CaptureFixture[str]):
    free = planned(compared("expert_iteration", rounds=3), capsys)["total"]
    tight = planned(compared("expert_iteration", rounds=3, budget_tokens=1000), capsys)["total"]
    one = planned(compared("expert_iteration", rounds=3, budget_tokens=10**12), capsys)["total"]
    assert one == free
    sampled = 2 * 3 * 2500 * 8 * compared_tokens()
    assert free["tokens at most"] - tight["tokens at most"] == pytest.approx(sampled - 2 * 1000, abs=10)


def compared_tokens() -> int:
    """The most tokens of a completion that expert iteration samples."""
    from lib import recipe

    return next(recipe.load("expert_iteration")[0].stages())[1].run[0].max_new_tokens


def test_status_names_the_comparison_that_a_campaign_is_part_of(home: Home):
    folder = begun(home, name="x-star-seed0")
    ended(folder, 0)
    side = ComparisonFolder(home, "x")
    side.keep(Comparison(name="x", recipes=("star", "grpo"), seeds=(0,)))
    said = wording.summary(Standing(folder).facts())
    assert said[-1] == "  go on with: roundhouse compare --name x"
    assert wording.comparison(comparisons(home)[0]) == "comparison x: 0 of 2 campaigns closed; go on with: roundhouse compare --name x"
    with side.hold():
        assert wording.comparison(comparisons(home)[0]).startswith("comparison x: running, 0 of 2 campaigns closed (process ")
    for name in ("x-star-seed0", "x-grpo-seed0"):
        (home.campaigns / name).mkdir(exist_ok=True)
        (home.campaigns / name / "test.json").write_text("[]")
    side.page.write_text("<p>")
    assert wording.comparison(comparisons(home)[0]) == f"comparison x: complete; its page is {side.page}"
    (side.path / "comparison.json").write_text("{}")
    assert "is damaged" in wording.comparison(comparisons(home)[0])


@pytest.mark.slow
def test_watching_fifty_one_campaigns_takes_a_few_hundredths_of_a_core(home: Home):
    folders = [begun(home, name=f"x-star-seed{seed}") for seed in range(51)]
    for folder in folders:
        ended(folder, 0)
        ended(folder, 1)
        tell(folder, Label(folder.name, 2, "main", "train"), 0.5)
    with watching(home, [folder.name for folder in folders], quiet=True):
        time.sleep(2)  # what has not changed is read once
        before = time.process_time()
        time.sleep(10)
        taken = time.process_time() - before
    assert taken / 10 < 0.06
