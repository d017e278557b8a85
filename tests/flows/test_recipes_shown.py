"""`roundhouse recipes`: all of them in a table, one of them with its settings, and both as JSON."""

import json

import pytest

from flows.recipes_shown import recipes_shown
from lib import recipe as recipes
from lib.errors import UnknownName

OWN = '''"""Mine: two samples each.

More of it.
"""
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

RECIPE = Recipe(phases=(Phase(sampler=Independent(n=2), trainer=Sft()),), evaluators=(PassAtK(),))
'''


def test_the_list_has_every_recipe_with_what_it_needs(capsys):
    recipes_shown(None, as_json=True)
    rows = {row["recipe"]: row for row in json.loads(capsys.readouterr().out)}
    assert sorted(rows) == recipes.names()
    assert rows["grpo"]["needs"] == ["gold answers"]
    assert rows["warm_only"]["needs"] == []
    recipes_shown(None, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("warm_only") and line.rstrip().endswith("nothing") for line in lines)


def test_one_recipe_is_shown_with_its_settings(capsys):
    recipes_shown("grpo", as_json=True)
    facts = json.loads(capsys.readouterr().out)
    told = {setting["path"]: setting for setting in facts["settings"]}
    assert told["trainer.clip_low"]["value"] == 0.2
    assert told["trainer.clip_low"]["doc"].startswith("How far below 1")
    assert facts["stages"][1] == {"stage": "main/verify", "strategies": "the problem set's own"}
    recipes_shown("grpo", as_json=False)
    assert "trainer.clip_low" in capsys.readouterr().out


def test_a_recipe_of_the_users_own_is_shown_too(tmp_path, capsys):
    (tmp_path / "own_two.py").write_text(OWN)
    recipes_shown(str(tmp_path / "own_two.py"), as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["text"].startswith("Mine: two samples each.")
    assert {"path": "sampler.n", "value": 2, "doc": "Completions of each problem."} in facts["settings"]


def test_an_unknown_recipe_is_told_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'star'"):
        recipes_shown("starr", as_json=False)
