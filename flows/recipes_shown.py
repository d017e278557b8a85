"""What `roundhouse recipes` prints: every recipe in a line, or one of them with all that can be set."""

from __future__ import annotations

import json
from typing import Any

from rich.text import Text

from flows.terminal import apart, print_json, put, table
from lib import recipe as recipes
from lib import recipe_facts
from lib.strategy import UserCode

OWN_VERIFIERS = "the problem set's own"
"""What runs in a verify stage that names no verifier."""


def recipes_shown(name: str | None, as_json: bool) -> None:
    """The list, or one recipe by its name or its file."""
    if name is None:
        _all(as_json)
    else:
        _one(name, as_json)


def _all(as_json: bool) -> None:
    rows: list[dict[str, Any]] = []
    for name in recipes.names():
        found, text = recipes.load(name)
        rows.append({"recipe": name, "what it is": _line(text), "needs": recipe_facts.needs(found)})
    if as_json:
        print_json(rows)
        return
    shown = [{**row, "needs": ", ".join(row["needs"]) or "nothing"} for row in rows]
    put([table(shown, "recipes in lib/recipes; `roundhouse recipes NAME` shows one with its settings")])


def _one(name: str, as_json: bool) -> None:
    if name.endswith(".py"):
        UserCode.allow(recipes.existing_file(name).resolve().parent)
    found, text = recipes.load(name)
    settings = recipe_facts.settings(found)
    facts = {"recipe": name, "text": text, "needs": recipe_facts.needs(found), "begins_from": recipe_facts.begins_from(found)}
    stages = [{"stage": stage, "strategies": run or OWN_VERIFIERS} for stage, run in recipe_facts.kinds(found)]
    if as_json:
        print_json({**facts, "stages": stages, "settings": [setting._asdict() for setting in settings]})
        return
    rows = [{"--set": s.path, "value": json.dumps(s.value, ensure_ascii=False), "what it is": s.doc} for s in settings]
    needs = ", ".join(facts["needs"]) or "nothing but problems"
    parts = [
        [Text(name, style="bold"), Text(text)],
        [Text(f"needs: {needs}"), *(Text(f"begins from: {line}") for line in facts["begins_from"])],
        [table(stages, "stages of a round")],
        [table(rows, "settings, as --set PATH=VALUE takes them")],
    ]
    put(apart(parts))


def _line(text: str) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join(text.split("\n\n")[0].split())
