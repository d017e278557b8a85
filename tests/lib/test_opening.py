"""How a campaign begins, and what is refused of one that is there already."""

from pathlib import Path

import pytest

from lib.campaign import Campaign, CampaignFolder, ProblemPlan
from lib.errors import UserError
from lib.estimate import Rates, evaluation_cost, rates, round_cost
from lib.home import Home
from lib.opening import Opening
from lib.recipe import Recipe
from lib.store import Store
from lib.strategy import UserCode

MINE = '''"""Mine."""
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.strategy import Strategy
from lib.verifiers.answer import Answer
import counting

class Numbers(Strategy):
    def problems(self, split, count, seed, exclude):
        return counting.table(split, count)
    def verifiers(self):
        return (Answer(),)

PROBLEMS = Numbers()
RECIPE = Recipe(phases=(Phase(sampler=Independent(n=8)),), evaluators=(PassAtK(),))
'''


def test_a_users_recipe_and_problems_are_loaded_from_the_campaigns_copy(home: Home, tmp_path: Path):
    (tmp_path / "mine_recipe.py").write_text(MINE)
    (tmp_path / "counting.py").write_text("def table(split, count):\n    return count\n")
    folder = CampaignFolder(home, "one")
    try:
        recipe, source = Opening(recipe=str(tmp_path / "mine_recipe.py")).resolve(folder)
        assert Path(__import__("mine_recipe").__file__).parent == folder.path / "code"
        assert type(source).__name__ == "Numbers"
        assert source.problems("train", 3, 0, ()) == 3
        assert [type(v).__name__ for v in recipe.evaluators[0].verifiers] == ["Answer"]
        assert Recipe.model_validate(recipe.dump()) == recipe
    finally:
        UserCode.allow(None)


def test_settings_that_a_campaign_was_begun_with_are_fixed():
    campaign = Campaign("one", "star", {}, 3, ProblemPlan({}, {}), {})
    Opening(recipe="star", seed=3).refuse_other(campaign, frozenset({"recipe", "seed"}))
    Opening().refuse_other(campaign, frozenset())
    with pytest.raises(UserError, match="begun with recipe star, not grpo"):
        Opening(recipe="grpo").refuse_other(campaign, frozenset({"recipe"}))
    with pytest.raises(UserError, match="begun with seed 3, not 4"):
        Opening(seed=4).refuse_other(campaign, frozenset({"seed"}))
    with pytest.raises(UserError, match="its settings is fixed"):
        Opening(settings={"sampler.n": "2"}).refuse_other(campaign, frozenset({"settings"}))


def test_a_problem_set_without_its_methods_is_refused(home: Home, tmp_path: Path):
    (tmp_path / "bad_problems.py").write_text("from lib.recipes.star import RECIPE\nPROBLEMS = 3\n")
    try:
        with pytest.raises(UserError, match="PROBLEMS must be a Strategy"):
            Opening(recipe=str(tmp_path / "bad_problems.py")).preview()
    finally:
        UserCode.allow(None)


def test_the_plan_counts_completions_tokens_and_steps(home: Home):
    recipe, counts = Opening(settings={"sampler.n": "4"}).preview(), {"train": 100, "validation": 10, "gate": 20, "test": 30}
    at = Rates(per_token=0.001, per_step=0.5, measured=False)
    costs = {cost.stage: cost for cost in round_cost(recipe, counts, at)}
    assert (costs["main/sample"].completions, costs["main/sample"].tokens) == (400, 9600)
    assert costs["main/sample"].seconds == pytest.approx(9.6)
    assert (costs["main/train"].steps, costs["main/train"].seconds) == (700, 350.0)
    assert costs["evaluate/validation"].completions == 10 * 8 + 10  # pass@k and by difficulty share theirs; greedy has its own
    assert costs["evaluate/gate"].completions == 2 * costs["evaluate/validation"].completions
    assert evaluation_cost(recipe, "test", 30, at).completions == 270


def test_rates_are_this_homes_own_once_it_has_measured_them(home: Home):
    store = Store(home.store)
    assert not rates(store).measured
    for key, stats in (("a" * 64, {"tokens_sampled": 100, "seconds": 2.0}), ("b" * 64, {"steps": 10, "seconds": 5.0})):
        with store.workspace() as out:
            (out / "x").write_text(key)
            store.publish(out, key, {}, {}, stats)
    assert rates(store) == Rates(0.02, 0.5, True)
