"""How a campaign begins: its recipe and problems, and what they would cost."""

import math
from pathlib import Path

import pytest

from lib.campaign import CampaignFolder
from lib.errors import UserError
from lib.estimate import Rates, evaluation_cost, rates, round_cost, warm_start_cost
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.decontaminate import Decontaminate
from lib.filters.keep_correct import KeepCorrect
from lib.home import Home
from lib.opening import Opening, guarded
from lib.problems.countdown import Countdown
from lib.recipe import Phase, Recipe, names
from lib.samplers.independent import Independent
from lib.store import Store
from lib.strategy import UserCode

RATES = Rates(per_token=0.001, per_step=0.5, measured=False)

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
        recipe, source = Opening(recipe=str(tmp_path / "mine_recipe.py"), model="./any").resolve(folder)
        assert Path(__import__("mine_recipe").__file__).parent == folder.path / "code"
        assert type(source).__name__ == "Numbers"
        assert source.problems("train", 3, 0, ()) == 3
        assert [type(v).__name__ for v in recipe.evaluators[0].verifiers] == ["Answer"]
        assert Recipe.model_validate(recipe.dump()) == recipe
    finally:
        UserCode.allow(None)


@pytest.mark.parametrize(
    ("more", "said"),
    [({}, "give a model folder with --model"), ({"model": ".", "numbers": 4}, "--numbers 4 is for the built-in Countdown")],
)
def test_problems_of_ones_own_need_a_model_and_take_no_numbers(tmp_path: Path, more, said: str):
    (tmp_path / "own_problems.py").write_text(MINE.replace("import counting", ""))
    try:
        with pytest.raises(UserError, match=said):
            Opening(recipe=str(tmp_path / "own_problems.py"), **more).preview()
    finally:
        UserCode.allow(None)


def test_harder_problems_get_longer_answers_everywhere_and_settings_come_after():
    opening = Opening(recipe="star", numbers=5, settings={"phases.0.stages.2.run.0.max_new_tokens": "30"})
    recipe, source = opening.preview()
    assert (source.numbers, source.largest_answer_tokens) == (5, 48)
    samplers = [stage.run[0].max_new_tokens for _, stage in recipe.stages() if stage.verb == "sample"]
    assert samplers == [48, 30]
    assert [evaluator.sampler.max_new_tokens for evaluator in recipe.evaluators] == [48, 48]
    assert opening.warm_start_of(source).evaluators[0].sampler.max_new_tokens == 48
    plain, source = Opening(recipe="star").preview()
    assert (source.numbers, plain.evaluators[0].sampler.max_new_tokens) == (3, 24)


def test_a_problem_set_without_its_methods_is_refused(home: Home, tmp_path: Path):
    (tmp_path / "bad_problems.py").write_text("from lib.recipes.star import RECIPE\nPROBLEMS = 3\n")
    try:
        with pytest.raises(UserError, match="PROBLEMS must be a Strategy"):
            Opening(recipe=str(tmp_path / "bad_problems.py")).preview()
    finally:
        UserCode.allow(None)


def test_the_plan_counts_completions_tokens_and_steps(home: Home):
    recipe, counts = Opening(settings={"sampler.n": "4"}).preview()[0], {"train": 100, "validation": 10, "gate": 20, "test": 30}
    costs = {cost.stage: cost for cost in round_cost(recipe, counts, RATES)}
    assert (costs["main/sample"].completions, costs["main/sample"].tokens) == (400, 9600)
    assert costs["main/sample"].seconds == pytest.approx(9.6)
    assert (costs["main/train"].steps, costs["main/train"].seconds) == (700, 350.0)
    assert costs["evaluate/validation"].completions == 10 * 8 + 10  # pass@k and by difficulty share theirs; greedy has its own
    assert costs["evaluate/gate"].completions == 2 * costs["evaluate/validation"].completions
    assert evaluation_cost(recipe, "test", 30, RATES).completions == 270


def test_the_plan_bounds_steps_that_passes_over_the_examples_decide():
    found, _ = Opening(settings={"trainer.epochs": "2", "trainer.steps": "null"}).preview()
    counts = {"train": 100, "validation": 10, "gate": 20, "test": 30}
    first, third = (next(c for c in round_cost(found, counts, RATES, n) if c.stage == "main/train") for n in (1, 3))
    assert first.steps == math.ceil(2 * (100 * 8 + 2500) / 64)
    assert third.steps == math.ceil(2 * (3 * 100 * 8 + 2500) / 64)  # the recipe accumulates
    assert "not known beforehand" in first.note


@pytest.mark.parametrize("settings", [{"warm_recipe": "warm_strat"}, {"warm_start": {"trainer.stepps": "5"}}])
def test_a_mistake_in_the_warm_start_is_told_before_anything_is_begun(settings):
    with pytest.raises(UserError, match=r"did you mean 'warm_start'|did you mean 'steps'"):
        Opening(**settings).preview()


def test_a_warm_start_from_a_file_is_refused_whether_asked_for_or_the_recipes_own(tmp_path: Path):
    mine = tmp_path / "mine_warm.py"
    mine.write_text(
        "from lib.recipes.expert_iteration import RECIPE as other\nRECIPE = other.model_copy(update={'warm_start': 'own.py'})\n"
    )
    for opening, name in ((Opening(warm_recipe=str(mine)), str(mine)), (Opening(recipe=str(mine)), "own.py")):
        with pytest.raises(UserError, match=r"^the warm start .* is a file, and only recipes of lib/recipes.*--model") as refused:
            opening.preview()
        assert f"'{name}'" in str(refused.value)


def test_the_plan_of_a_warm_start_counts_its_steps_and_no_completions():
    opening = Opening(warm_start={"trainer.steps": "30"})
    (cost,) = warm_start_cost(opening.warm_start_of(opening.preview()[1]), RATES)
    assert (cost.steps, cost.completions, cost.seconds) == (30, 0, 15.0)


def test_rates_are_this_homes_own_once_it_has_measured_them(home: Home):
    store = Store(home.store)
    assert not rates(store).measured
    written = {"kind": "sample", "settings": {"sampler": {"strategy": "lib.samplers.reference_solutions:ReferenceSolutions"}}}
    sampled = {"kind": "sample", "settings": {"sampler": {"strategy": "lib.samplers.independent:Independent"}}}
    for key, ingredients, stats in (
        ("a" * 64, sampled, {"tokens_sampled": 100, "seconds": 2.0}),
        ("b" * 64, {"kind": "train"}, {"steps": 10, "seconds": 5.0}),
        ("c" * 64, written, {"tokens_sampled": 10**6, "seconds": 0.5}),
    ):
        with store.workspace() as out:
            (out / "x").write_text(key)
            store.publish(out, key, ingredients, {}, stats)
    assert rates(store) == Rates(0.02, 0.5, True)


def filter_stages(recipe: Recipe) -> list[list[str]]:
    """The filters of every filter stage, and of every training that filters inside."""
    stages = [stage for _, stage in recipe.stages()]
    inside = [stage.run[0].filters for stage in stages if getattr(stage.run[0] if stage.run else None, "online", False)]
    found = [stage.run for stage in stages if stage.verb == "filter"]
    return [[type(member).__name__ for member in run] for run in (*found, *inside)]


@pytest.mark.parametrize("name", [name for name in names() if name != "warm_only"])
def test_every_filter_stage_begins_with_the_guard_of_held_out_problems(name: str):
    recipe, source = Opening(recipe=name).preview()
    stages = filter_stages(recipe)
    assert stages
    assert all(stage[0] == "Decontaminate" and stage.count("Decontaminate") == 1 for stage in stages)
    assert filter_stages(Opening().warm_start_of(source)) == [["Decontaminate", "KeepCorrect"]]
    assert guarded(recipe) == recipe


def test_the_guard_is_changed_or_left_out_by_name_alone():
    own = Decontaminate(runs=(6,))
    changed, _ = Opening(settings={"decontaminate.runs": "[5]", "sampler.n": "2"}).preview()
    assert changed.phases[0].filters[0] == Decontaminate(runs=(5,))
    without, _ = Opening(settings={"decontaminate": "null"}).preview()
    assert filter_stages(without) == [["KeepCorrect", "Dedup", "CapPerProblem"]]
    phase = Phase(sampler=Independent(n=2), filters=(KeepCorrect(), own))
    assert guarded(Recipe(phases=(phase,), evaluators=(PassAtK(),))).phases[0].filters == (KeepCorrect(), own)


def asked_of(path: Path, count: int, **counts: int) -> Opening:
    rows = "".join(f'{{"prompt": "what is {n} + {n}?", "answer": "{2 * n}"}}\n' for n in range(count))
    (path / "own.jsonl").write_text(rows)
    (path / "model").mkdir(exist_ok=True)
    (path / "model" / "config.json").write_text("{}")
    return Opening(problems=str(path / "own.jsonl"), model=str(path / "model"), counts=counts, settings={"trainer.replay": "[]"})


def test_a_small_set_of_ones_own_gives_what_it_has_and_what_is_asked_for_stands(tmp_path: Path):
    opening = asked_of(tmp_path, 240, train=20, gate=6)
    _, source = opening.preview()
    counts = opening.counted(source)
    assert (counts["train"], counts["gate"]) == (20, 6)
    assert counts["validation"] == source.available("validation") < 400


@pytest.mark.parametrize(
    ("rows", "counts", "said"), [(240, {"gate": 200}, r"and 200 were asked for; --held-out \d+ fits"), (3, {}, "a set of dozens")]
)
def test_more_held_out_problems_than_a_file_has_are_refused_beforehand(tmp_path: Path, rows: int, counts: dict[str, int], said: str):
    opening = asked_of(tmp_path, rows, **counts)
    with pytest.raises(UserError, match=said):
        opening.counted(opening.preview()[1])


def test_a_folder_that_is_no_model_is_named_before_anything_starts(tmp_path: Path):
    with pytest.raises(UserError, match=r"has no config\.json; give a folder written by save_pretrained"):
        Opening(model=str(tmp_path), settings={"trainer.replay": "[]"}).preview()


def test_a_recipe_brings_its_problems_and_its_warm_start_and_what_is_asked_for_comes_first(tmp_path):
    text = (
        "from lib.problems.countdown import Countdown\nfrom lib.recipe import Recipe\n"
        "from lib.recipes.expert_iteration import RECIPE as other\n"
        "RECIPE = Recipe.model_validate({**other.dump(), 'problems': Countdown(numbers=4), 'warm_start': 'star'})\n"
    )
    (tmp_path / "mine.py").write_text(text)
    recipe, source = Opening(recipe=str(tmp_path / "mine.py")).preview()
    assert source == Countdown(numbers=4)
    assert recipe.evaluators[0].sampler.max_new_tokens == source.largest_answer_tokens == 36
    steps = Opening(warm_start={"trainer.steps": "5"}).warm_start_of(source, recipe).phases[0].stages[-1].run[0].steps
    assert steps == 5
    assert Opening(recipe=str(tmp_path / "mine.py"), numbers=5).preview()[1] == Countdown(numbers=5)
    asked = Opening(warm_recipe="warm_start").warm_start_of(source, recipe)
    assert type(asked.phases[0].sampler).__name__ == "ReferenceSolutions"
