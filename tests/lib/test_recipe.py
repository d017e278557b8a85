"""Recipes: their two forms, their JSON, their overrides, and what is said of a mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from lib import recipe as recipes
from lib import recipe_settled
from lib.errors import UnknownName, UserError
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.keep_correct import KeepCorrect
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.strategy import UserCode, load_class
from lib.trainers.sft import Sft
from lib.verifiers.countdown import Countdown


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_survives_json_and_says_what_it_is(name: str):
    found, text = recipes.load(name)
    assert Recipe.model_validate(found.dump()) == found
    assert len(text.split()) > 10


def test_the_four_slots_are_stages_in_order():
    phase = Phase(sampler=Independent(), filters=(KeepCorrect(),), trainer=Sft(steps=1))
    assert [(s.verb, s.label) for s in phase.pipeline] == [(v, v) for v in ("sample", "verify", "filter", "train")]


def test_a_phase_is_slots_or_stages_and_not_both():
    with pytest.raises(UserError, match="either the four slots"):
        Phase(sampler=Independent(), stages=(Stage(verb="sample", run=(Independent(),)),))
    with pytest.raises(UserError, match="either the four slots"):
        Phase()


def test_a_stage_can_only_read_what_stands_before_it():
    with pytest.raises(UnknownName, match=r"no stage 'verfy' before 'filter'.*did you mean 'verify'"):
        Phase(stages=(Stage(verb="sample", run=(Independent(),)), Stage(verb="verify"), Stage(verb="filter", reads=("verfy",))))


def test_two_stages_of_one_name_are_refused():
    with pytest.raises(UserError, match="two stages named 'sample'"):
        Phase(stages=(Stage(verb="sample", run=(Independent(),)), Stage(verb="sample", run=(Independent(),))))


def test_a_strategy_of_another_kind_is_refused():
    with pytest.raises(UserError, match="Sft cannot sample"):
        Stage(verb="sample", run=(Sft(steps=1),))


def test_an_unknown_recipe_names_the_near_miss():
    with pytest.raises(UnknownName, match="did you mean 'star'"):
        recipes.load("starr")


def test_an_unknown_setting_names_the_near_miss():
    with pytest.raises(UnknownName, match=r"no setting 'temprature' on Independent; did you mean 'temperature'"):
        Independent(temprature=1.0)


def test_settings_change_by_path_with_their_type_checked():
    found, _ = recipes.load("expert_iteration")
    changed = recipes.override(found, {"sampler.n": "16", "trainer.start_from": "base", "phases.0.filters.2.n": "2"})
    assert changed.phases[0].sampler.n == 16
    assert changed.phases[0].trainer.start_from == "base"
    assert changed.phases[0].filters[2].n == 2
    assert recipes.override(changed, {"gate": "null"}).gate is None


def test_the_slots_names_reach_the_one_stage_of_a_phase_in_full():
    found, _ = recipes.load("star")
    changed = recipes.override(found, {"trainer.steps": "3", "filters.2.n": "2", "accumulate": "all", "trainer.replay": "[]"})
    train, keep = changed.phases[0].stages[-1], changed.phases[0].stages[-2]
    assert (train.run[0].steps, train.run[0].replay, train.accumulate, keep.run[2].n) == (3, (), "all", 2)


def test_a_slot_that_several_stages_have_is_answered_with_paths_that_work():
    found, _ = recipes.load("star")
    with pytest.raises(UserError, match=r"'sampler\.n' fits 2 places; say which: ") as raised:
        recipes.override(found, {"sampler.n": "3"})
    ways = str(raised.value).partition("say which: ")[2].split(" or ")
    assert ways == ["phases.0.stages.0.run.0.n", "phases.0.stages.2.run.0.n"]
    changed = recipes.override(found, dict.fromkeys(ways, "3"))
    assert [stage.run[0].n for _, stage in changed.stages() if stage.verb == "sample"] == [3, 3]


def test_an_empty_slot_is_filled_as_a_whole_and_a_missing_one_is_named():
    found, _ = recipes.load("no_filter")
    keep = '[{"strategy": "lib.filters.keep_correct:KeepCorrect"}]'
    assert recipes.override(found, {"filters": keep}).phases[0].filters == (KeepCorrect(),)
    with pytest.raises(UserError, match=r"'sampler\.n': no phase of this recipe has sampler"):
        recipes.override(recipes.load("warm_only")[0], {"sampler.n": "3"})


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("sampler.m", "1", r"no setting 'm' in 'sampler\.m'"),
        ("samplr.n", "1", r"did you mean 'sampler'"),
        ("phases.7.name", "x", r"no position '7'"),
        ("sampler.n", "many", r"sampler.*n: .*integer"),
        ("sampler.n", "0", r"greater than or equal to 1"),
    ],
)
def test_a_bad_setting_is_one_line(setting: str, value: str, said: str):
    found, _ = recipes.load("expert_iteration")
    with pytest.raises(UserError, match=said) as raised:
        recipes.override(found, {setting: value})
    assert "\n" not in str(raised.value)


def test_the_problem_sets_own_verifiers_fill_the_empty_places_only():
    found, _ = recipes.load("star")
    filled = recipe_settled.with_verifiers(found, (Countdown(),))
    assert all(stage.run == (Countdown(),) for _, stage in filled.stages() if stage.verb == "verify")
    assert all(evaluator.verifiers == (Countdown(),) for evaluator in filled.evaluators)


def test_only_lib_and_the_campaigns_own_code_are_ever_imported(tmp_path: Path):
    with pytest.raises(UserError, match="neither in lib nor"):
        load_class("os:system")
    (tmp_path / "evil.py").write_text("raise SystemExit")
    with pytest.raises(UserError, match="neither in lib nor"):
        load_class("evil:Evil")
    with pytest.raises(UnknownName, match="did you mean 'Independent'"):
        load_class("lib.samplers.independent:Independant")


MINE = "from lib.strategy import Strategy\nclass Mine(Strategy):\n    kind: str = '{}'\n"


@pytest.fixture
def user_folder(tmp_path: Path):
    folder = tmp_path / "code"
    folder.mkdir()
    yield folder
    UserCode.allow(None)


@pytest.mark.parametrize("name", ["json", "numpy", "pydantic", "lib2to3", "tasks"])
def test_a_users_module_with_another_modules_name_is_refused_and_leaves_that_one_alone(user_folder: Path, name: str):
    before = sys.modules.get(name)
    (user_folder / f"{name}.py").write_text(MINE.format("own"))
    UserCode.allow(user_folder)
    assert sys.modules.get(name) is before
    with pytest.raises(UserError, match=rf"^{name}\.py has the name of a module .*; rename it$"):
        load_class(f"{name}:Mine")
    assert sys.modules.get(name) is before


def test_a_name_that_was_loaded_from_elsewhere_is_refused(user_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mine_of_another", sys)
    (user_folder / "mine_of_another.py").write_text(MINE.format("own"))
    UserCode.allow(user_folder)
    assert sys.modules["mine_of_another"] is sys
    with pytest.raises(UserError, match="rename it"):
        load_class("mine_of_another:Mine")


def test_the_campaigns_copy_is_loaded_even_where_python_would_find_the_original(
    user_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "mine_copied.py").write_text(MINE.format("original"))
    (user_folder / "mine_copied.py").write_text(MINE.format("copy"))
    monkeypatch.syspath_prepend(tmp_path)
    UserCode.allow(tmp_path)
    assert load_class("mine_copied:Mine")().kind == "original"
    UserCode.allow(user_folder)
    assert load_class("mine_copied:Mine")().kind == "copy"


def test_a_users_file_needs_a_recipe(tmp_path: Path):
    (tmp_path / "empty_recipe.py").write_text("X = 1\n")
    (tmp_path / "broken_recipe.py").write_text("import nothing_of_this_name\n")
    UserCode.allow(tmp_path)
    try:
        with pytest.raises(UserError, match="has no RECIPE"):
            recipes.load(str(tmp_path / "empty_recipe.py"))
        with pytest.raises(UserError, match=r"cannot be imported: ModuleNotFoundError"):
            recipes.load(str(tmp_path / "broken_recipe.py"))
    finally:
        UserCode.allow(None)


def test_loading_every_recipe_imports_nothing_heavy():
    code = (
        "import sys; from lib import recipe; [recipe.load(n) for n in recipe.names()];"
        "print([m for m in ('torch', 'transformers', 'trl', 'prefect', 'mlflow', 'duckdb') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(Path.cwd())})
    assert said.stdout.strip() == "[]"


def test_a_phase_of_the_first_round_alone_is_left_out_of_later_ones():
    recipe = Recipe(
        phases=(
            Phase(name="value", role="value", first_round_only=True, sampler=Independent(), trainer=Sft()),
            Phase(name="main", sampler=Independent(), trainer=Sft()),
        ),
        evaluators=(PassAtK(),),
    )
    assert [phase.name for phase, stage in recipe.stages() if stage.verb == "train"] == ["value", "main"]
    assert {phase.name for phase, _ in recipe.stages(2)} == {"main"}
    assert recipe.trained_roles == ["value", "policy"]
