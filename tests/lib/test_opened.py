"""The same command goes on, and another one is refused with the setting that differs."""

import json
from pathlib import Path

import pytest

from lib import opened
from lib.campaign_settings import Campaign, ProblemPlan
from lib.errors import UserError
from lib.opening import Opening

ALL = frozenset(
    {"recipe", "set", "seed", "model", "problems", "count", "held-out", "warm-steps", "warm-start", "attempts", "same-problems", "numbers"}
)


def begun(opening: Opening) -> Campaign:
    """As it would be read back from campaign.json."""
    kept = json.loads(json.dumps(opened.record(opening)))
    return Campaign("one", "star", {}, opening.seed, ProblemPlan({}, {}), {"policy": "b"}, opening=kept)


@pytest.mark.parametrize(
    "opening",
    [Opening(), Opening(recipe="star", seed=3, settings={"trainer.steps": "3", "gate": "null"}, attempts=2, fresh=False, numbers=4)],
)
def test_the_same_opening_goes_on(opening: Opening):
    assert opened.refuse_other(begun(opening), opening, ALL) is None
    assert opened.refuse_other(begun(opening), opening.model_copy(update={"rounds": 9}), ALL) is None


def test_settings_are_compared_by_value_and_in_any_order():
    campaign = begun(Opening(settings={"trainer.learning_rate": "0.001", "sampler.n": "4"}))
    asked = Opening(settings={"sampler.n": " 4", "trainer.learning_rate": "1e-3"})
    assert opened.refuse_other(campaign, asked, frozenset({"set"})) is None


@pytest.mark.parametrize(
    ("option", "values", "said"),
    [
        ("recipe", {"recipe": "grpo"}, "--recipe expert_iteration, and --recipe grpo is asked for"),
        ("set", {"settings": {"sampler.n": "5"}}, "--set sampler.n=4, and --set sampler.n=5"),
        ("set", {"settings": {"sampler.n": "4", "gate": "null"}}, "no --set gate, and --set gate=null"),
        ("seed", {"seed": 4}, "--seed 0, and --seed 4"),
        ("model", {"model": "./gone"}, "no --model, and --model ./gone"),
        ("problems", {"problems": "countdown"}, "no --problems, and --problems countdown"),
        ("count", {"counts": {"train": 7}}, "--count 2500, and --count 7"),
        ("held-out", {"counts": {"validation": 8}}, "--held-out 400 .*, and --held-out 8 "),
        ("warm-steps", {"warm_start": {"trainer.steps": "9"}}, "no --warm-steps, and --warm-steps 9"),
        ("warm-start", {"warm_recipe": "star"}, "no --warm-start, and --warm-start star"),
        ("attempts", {"attempts": 2}, "--attempts 1, and --attempts 2"),
        ("same-problems", {"fresh": False}, "no --same-problems, and --same-problems"),
        ("numbers", {"numbers": 4}, "--numbers 3, and --numbers 4"),
    ],
)
def test_another_setting_is_refused_with_both_values_and_only_where_it_was_given(option: str, values, said: str):
    campaign = begun(Opening(settings={"sampler.n": "4"}))
    asked = Opening.model_validate({"settings": {"sampler.n": "4"}, **values})
    opened.refuse_other(campaign, asked, ALL - {option})
    with pytest.raises(UserError, match=f"'one' was begun with {said}.*roundhouse improve OTHERNAME") as raised:
        opened.refuse_other(campaign, asked, frozenset({option}))
    assert "\n" not in str(raised.value)


def test_a_recipe_file_is_told_by_its_content_and_that_of_the_modules_beside_it(tmp_path: Path):
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text("import helper\n")
        (tmp_path / folder / "helper.py").write_text("x = 1\n")
    campaign = begun(Opening(recipe=str(tmp_path / "here" / "mine.py")))
    other = Opening(recipe=str(tmp_path / "there" / "mine.py"))
    opened.refuse_other(campaign, other, frozenset({"recipe"}))
    (tmp_path / "there" / "helper.py").write_text("x = 2\n")
    with pytest.raises(UserError, match=r"--recipe mine\.py \(sha256 \w{12}\), helper\.py \(sha256 \w{12}\), and --recipe mine\.py"):
        opened.refuse_other(campaign, other, frozenset({"recipe"}))
    (tmp_path / "there" / "mine.py").write_text("def (\n")
    with pytest.raises(UserError, match=r"mine\.py or a module beside it is not Python \(line 1: "):
        opened.refuse_other(campaign, other, frozenset({"recipe"}))


def test_a_model_folder_is_told_by_its_content_and_by_its_name_once_it_is_gone(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "model.safetensors").write_text("weights")
    campaign = begun(Opening(model=str(first)))
    opened.refuse_other(campaign, Opening(model=str(second)), frozenset({"model"}))
    (second / "model.safetensors").write_text("others")
    with pytest.raises(UserError, match=r"--model .*first \(content \w{12}\), and --model .*second \(content"):
        opened.refuse_other(campaign, Opening(model=str(second)), frozenset({"model"}))
    (first / "model.safetensors").unlink()
    first.rmdir()
    opened.refuse_other(campaign, Opening(model=str(first)), frozenset({"model"}))


def test_a_campaign_that_does_not_say_how_it_was_begun_goes_on_without_options():
    campaign = Campaign("one", "star", {}, 3, ProblemPlan({}, {}), {})
    opened.refuse_other(campaign, Opening(), frozenset())
    with pytest.raises(UserError, match="continue it with: roundhouse improve one"):
        opened.refuse_other(campaign, Opening(), frozenset({"seed"}))
