"""Every recipe runs a round end to end, leaves its own signature on the artifacts, and passes the audit.

A signature is a function named as its recipe, in any `signatures_*.py` beside this file: it is given the home and the last
round's record, and asserts what no other method would have left. `ROUNDS` there says which recipes need more than one round,
`SETTINGS` which need more words of the command.
"""

from __future__ import annotations

import importlib
import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from lib import recipe as recipes
from lib.audit.whole import audit
from lib.home import Home
from tests.flows.one_process import OneProcess, one_process

SMALL = ["--count", "100", "--held-out", "8", "--warm-steps", "600"]

MODULES: list[ModuleType] = [
    importlib.import_module(f"tests.flows.{path.stem}") for path in sorted(Path(__file__).parent.glob("signatures_*.py"))
]


def of_modules(name: str) -> dict[str, Any]:
    """The entries of a mapping that modules of signatures may have, of all of them."""
    return {recipe: value for module in MODULES for recipe, value in getattr(module, name, {}).items()}


SIGNATURES: dict[str, Callable[[Home, dict[str, Any]], None]] = {
    name: found
    for module in MODULES
    for name, found in vars(module).items()
    if isinstance(found, FunctionType) and found.__module__ == module.__name__ and not name.startswith("_")
}
ROUNDS, SETTINGS = of_modules("ROUNDS"), of_modules("SETTINGS")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One home for all recipes: they share the warm start by content."""
    return Home(tmp_path_factory.mktemp("recipes"))


@pytest.fixture(scope="module")
def process(shared: Home, server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneProcess]:
    with one_process(shared, server, tmp_path_factory.mktemp("printed") / "log") as found:
        yield found


def short(name: str) -> list[str]:
    """Words that leave each training of a recipe four steps."""
    values = recipes.load(name)[0].dump()
    places = recipes.places(values, "trainer")
    return [word for place in places if _at(values, place).get("steps") for word in ("--set", f"{place}.steps=4")]


def _at(values: Any, place: str) -> Any:
    for part in place.split("."):
        values = values[int(part) if part.isdigit() else part]
    return values


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_runs_signs_its_artifacts_and_passes_the_audit(shared: Home, process: OneProcess, name: str):
    rounds = ROUNDS.get(name, 1)
    process.run("improve", name, "--recipe", name, *SMALL, "--rounds", str(rounds), *short(name), *SETTINGS.get(name, []))
    record = json.loads((shared.campaigns / name / f"round-{rounds:03d}" / "round.json").read_text())
    assert record["state"] in ("accepted", "rejected")
    assert record["made"]["policy"] != record["start"]["policy"]
    SIGNATURES[name](shared, record)
    found = audit(shared, name, offline=True)
    assert found.passed, [mismatch.line for mismatch in found.mismatches]


def test_every_recipe_has_a_signature_and_every_signature_a_recipe():
    assert sorted(SIGNATURES) == recipes.names()
    assert {*ROUNDS, *SETTINGS} <= {*recipes.names()}


def text_of(name: str) -> str:
    return (Path("lib/recipes") / f"{name}.py").read_text()


def test_no_recipe_holds_a_loop_or_an_if():
    for name in recipes.names():
        text = text_of(name)
        assert not any(word in text for word in ("\nfor ", "\nif ", "\nwhile ", "\ndef ")), name
        assert len(text.splitlines()) <= 60, name


def test_half_of_the_recipes_are_under_forty_lines_and_none_leans_on_another():
    assert statistics.median(len(text_of(name).splitlines()) for name in recipes.names()) < 40
    assert [name for name in recipes.names() if "lib.recipes" in text_of(name)] == []


def test_no_recipe_made_the_round_longer():
    assert len(Path("flows/round.py").read_text().splitlines()) <= 89
