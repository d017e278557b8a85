"""What a campaign writes into its recipe once the problem set is known: verifiers, and room to answer."""

from __future__ import annotations

from typing import Any

from lib.recipe import Recipe
from lib.strategy import Strategy, load_class


def with_verifiers(recipe: Recipe, own: tuple[Strategy, ...]) -> Recipe:
    """The recipe with the problem set's own verifiers written where a stage or an evaluator names none."""
    values = recipe.dump()
    dumped = [strategy.model_dump(mode="json") for strategy in own]
    for phase in values["phases"]:
        if phase["sampler"] and not phase["verifiers"]:
            phase["verifiers"] = dumped
        for stage in phase["stages"]:
            if stage["verb"] == "verify" and not stage["run"]:
                stage["run"] = dumped
    for evaluator in values["evaluators"]:
        if "verifiers" in evaluator and not evaluator["verifiers"]:
            evaluator["verifiers"] = dumped
    _fill([values["phases"], values["evaluators"]], dumped)
    return Recipe.model_validate(values)


def _fill(value: Any, own: list[dict[str, Any]]) -> None:
    """Write the problem set's own verifiers wherever a strategy says in `takes_own_verifiers` which setting of it takes them."""
    if isinstance(value, dict) and isinstance(value.get("strategy"), str):
        setting = getattr(load_class(value["strategy"]), "takes_own_verifiers", "")
        if setting and not value[setting]:
            value[setting] = own
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _fill(part, own)


def online_trainers(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Where in a recipe's dumped values the trainers stand that sample, verify and filter for themselves."""
    phases = values["phases"]
    found = [phase["trainer"] for phase in phases if phase["trainer"]]
    found += [trainer for phase in phases for stage in phase["stages"] if stage["verb"] == "train" for trainer in stage["run"]]
    return [trainer for trainer in found if getattr(load_class(trainer["strategy"]), "online", False)]


def with_room(recipe: Recipe, tokens: int) -> Recipe:
    """The recipe with every sampler's max_new_tokens raised to `tokens` where it is below."""
    values = recipe.dump()
    _raise(values["phases"], tokens)
    _raise(values["evaluators"], tokens)
    return Recipe.model_validate(values)


def _raise(value: Any, tokens: int) -> None:
    if isinstance(value, dict) and "max_new_tokens" in value:
        value["max_new_tokens"] = max(tokens, value["max_new_tokens"])
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _raise(part, tokens)
