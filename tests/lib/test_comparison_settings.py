"""What a comparison keeps, what may change when it goes on, and which campaigns are its own."""

import json
from pathlib import Path

import pytest

from lib.campaign import CampaignFolder
from lib.comparison_settings import Comparison, ComparisonFolder, names, of_campaign
from lib.errors import Held, UnknownName, UserError
from lib.home import Home


def asked(**more: object) -> Comparison:
    return Comparison(**{"name": "x", "recipes": ("star", "/a/mine.py"), "seeds": (0, 1), **more})


def test_campaigns_are_named_after_it_the_recipe_and_the_seed():
    assert [member.campaign for member in asked().members()] == ["x-star-seed0", "x-mine-seed0", "x-star-seed1", "x-mine-seed1"]


def test_it_is_kept_and_found_again(home: Home):
    folder = ComparisonFolder(home, "x")
    comparison = asked(budget_tokens=5, settings={"a.b": "1"}, own={"star": {"c": "2"}}, options={"count": 40})
    with pytest.raises(UnknownName, match="no comparison 'x' begun here; begin it with --recipes A,B"):
        folder.load()
    folder.keep(comparison)
    assert (folder.load(), names(home)) == (comparison, ["x"])
    assert of_campaign(home, "x-mine-seed1") == "x"
    assert [of_campaign(home, name) for name in ("x-mine-seed2", "x", "other")] == [None, None, None]


def test_a_damaged_one_is_named_and_hides_no_campaign(home: Home):
    folder = ComparisonFolder(home, "x")
    folder.keep(asked())
    (folder.path / "comparison.json").write_text(json.dumps({"name": "x", "recipes": []}))
    with pytest.raises(UserError, match=r"comparison.json is damaged \(recipes: "):
        folder.load()
    assert of_campaign(home, "x-star-seed0") is None


def test_settings_of_one_recipe_come_after_those_of_all():
    comparison = asked(settings={"trainer.steps": "4", "sampler.n": "2"}, own={"star": {"trainer.steps": "9"}})
    assert comparison.changes("star") == {"trainer.steps": "9", "sampler.n": "2"}
    assert comparison.changes("mine") == {"trainer.steps": "4", "sampler.n": "2"}


def test_recipes_seeds_and_rounds_may_grow_and_the_budget_may_change():
    grown = asked(budget_tokens=5).grown({"recipes": ("grpo", "star", "/a/mine.py"), "seeds": (0, 1, 2), "rounds": 2, "budget_tokens": 9})
    assert (grown.recipes, grown.seeds, grown.budget_tokens) == (("grpo", "star", "/a/mine.py"), (0, 1, 2), 9)
    assert grown.rounds == 3, "a larger number of rounds stays"
    assert asked().grown({}) == asked()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"recipes": ("star",)}, "--recipes with /a/mine.py, and --recipes without it is asked for"),
        ({"seeds": (1, 2)}, "--seeds with 0, and --seeds without it"),
        ({"settings": {"a": "1"}}, "no --set, and --set a=1 is asked for"),
        ({"own": {"star": {"a": "1"}}}, "no --set, and --set star:a=1"),
        ({"options": {"count": 50}}, "--count 40, and --count 50"),
        ({"options": {"numbers": 4}}, "no --numbers, and --numbers 4"),
    ],
)
def test_anything_else_is_refused(given: dict, words: str):
    with pytest.raises(UserError) as raised:
        asked(options={"count": 40}).grown(given)
    assert f"comparison 'x' was begun with {words}" in str(raised.value)
    assert str(raised.value).endswith("or begin another one with --name OTHERNAME")


def test_only_one_process_runs_it(home: Home):
    folder = ComparisonFolder(home, "x")
    with folder.hold(), pytest.raises(Held, match="comparison 'x' is being run by process"), ComparisonFolder(home, "x").hold():
        pass
    with folder.hold():
        assert not (Path(folder.path) / "campaign.lock").exists()
    assert CampaignFolder(home, "x").holder() is None
