"""What `compare --plan` prints: what every campaign still has to run, with what they share counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rich.text import Text

from flows import planning, terminal
from flows.asking import Asked
from flows.comparing import checked
from flows.planning import HEADINGS
from lib import home as homes
from lib.campaign import CampaignFolder
from lib.comparison_settings import Comparison
from lib.estimate import Cost, Rates, rates
from lib.home import Home
from lib.recipe import Recipe
from lib.seeds import digest
from lib.store import Store

SHARED = "what recipes share"


def plan(comparison: Comparison, as_json: bool) -> None:
    """Print what is still to come, a row a recipe; run nothing."""
    home = homes.current()
    at = rates(Store(home.store))
    rows = [planning.row(when, cost) for when, cost in costs(comparison, home, at).items()]
    rows = [{"recipe": row.pop("when"), **{name: value for name, value in row.items() if name != "stage"}} for row in rows]
    rows.append({"recipe": "total", **{name: round(sum(row[name] for row in rows), 1) for name in HEADINGS}})
    if as_json:
        terminal.print_json(rows)
        return
    campaigns = len(comparison.members())
    measured = "rates measured in this home" if at.measured else "rates of the built-in model on one core"
    shown = [{HEADINGS.get(name, name): value for name, value in row.items()} for row in rows]
    terminal.put(
        [
            terminal.table(shown, f"{comparison.name}: the most that {campaigns} campaigns still have to run ({measured})"),
            *([Text(f"Rounds are capped at {comparison.budget_tokens:,} tokens a campaign.")] if comparison.budget_tokens else []),
            Text("What other campaigns have made already will be reused."),
        ]
    )


def costs(comparison: Comparison, home: Home, at: Rates) -> dict[str, Cost]:
    """Recipe → the most that its campaigns cost; what several campaigns would make alike stands apart, once."""
    each = checked(comparison, home)
    parts = [
        (member.recipe, key, cost)
        for member in comparison.members()
        for key, cost in _capped(list(_parts(each[member.campaign], home, at)), comparison.budget_tokens)
    ]
    users = Counter(key for _, key, _ in parts if key)
    found = {name: Cost(name) for name in (*([SHARED] if any(number > 1 for number in users.values()) else []), *comparison.shorts)}
    counted: set[str] = set()
    for recipe, key, cost in parts:
        if key not in counted:
            name = SHARED if users[key] > 1 else recipe
            found[name] = _sum(found[name], cost)
        counted |= {key} - {""}
    return found


def _sum(first: Cost, second: Cost) -> Cost:
    added = {name: getattr(first, name) + getattr(second, name) for name in ("completions", "tokens", "steps", "seconds", "bytes")}
    return replace(first, **added)


def _parts(asked: Asked, home: Home, at: Rates) -> Iterator[tuple[str, str, Cost]]:
    """(key, when, cost) of everything that one campaign has to run; campaigns with the same key make the same thing."""
    folder = CampaignFolder(home, asked.campaign)
    if folder.exists:
        yield from (("", when, cost) for when, cost in planning.to_continue(folder, asked.rounds, at))
        return
    opening = asked.opening()
    recipe, source = opening.preview()
    common: list[Any] = [asked.seed, opening.model, source.model_dump(mode="json"), opening.counts, opening.warm_start]
    for when, cost in planning.to_begin(asked, at):
        shared = _shared(recipe, when, cost)
        yield (digest([*common, when, cost.stage, shared]) if shared is not None else ""), when, cost


def _shared(recipe: Recipe, when: str, cost: Cost) -> Any:
    """What decides whether other recipes make the same thing; None for what a recipe makes for itself alone."""
    engine = recipe.engine.model_dump(mode="json")
    if when == "begin":
        return "warm start"
    if when == "base model":
        return [engine, [evaluator.model_dump(mode="json") for evaluator in recipe.evaluators]]
    phase, first = next(recipe.stages())
    if when == "round 1" and first.verb == "sample" and cost.stage == f"{phase.name}/{first.label}":
        return [engine, first.run[0].model_dump(mode="json")]
    return None


def _capped(parts: list[tuple[str, str, Cost]], budget: int | None) -> list[tuple[str, Cost]]:
    """With the sampling of rounds cut down to the budget, where there is one."""
    loop = [cost for _, when, cost in parts if when.startswith("round ") and not cost.stage.startswith("evaluate/")]
    whole = sum(cost.tokens for cost in loop)
    share = min(1.0, budget / whole) if budget is not None and whole else 1.0
    return [(key, _scaled(cost, share) if cost in loop else cost) for key, _, cost in parts]


def _scaled(cost: Cost, share: float) -> Cost:
    if not cost.tokens:
        return cost
    whole = {name: round(getattr(cost, name) * share) for name in ("completions", "tokens")}
    return replace(cost, **whole, seconds=cost.seconds * share, bytes=cost.bytes * share)
