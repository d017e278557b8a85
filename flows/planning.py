"""What `improve --plan` prints: everything that a campaign still has to run, and the most that it may cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flows import terminal
from flows.asking import Asked
from lib import home as homes
from lib.campaign import CampaignFolder
from lib.estimate import Cost, Rates, evaluation_cost, measuring_cost, rates, round_cost, warm_start_cost
from lib.recipe import Recipe
from lib.store import Store
from lib.strategy import UserCode


def plan(asked: Asked, as_json: bool) -> None:
    """Print what is still to come; run nothing."""
    home = homes.current()
    folder = asked.checked(home)
    at = rates(Store(home.store))
    costs = list(_to_continue(folder, asked.rounds, at) if folder.exists else _to_begin(asked, at))
    rows = [_row(when, cost) for when, cost in costs]
    counted = ("completions", "tokens at most", "steps", "about seconds", "about MB")
    rows.append({"when": "total", "stage": "", **{name: round(sum(row[name] for row in rows), 1) for name in counted}})
    if any(cost.note for _, cost in costs):
        rows = [{**row, "note": note} for row, note in zip(rows, [*(cost.note for _, cost in costs), ""], strict=True)]
    measured = "rates measured in this home" if at.measured else "rates of the built-in model on one core"
    terminal.show(
        rows,
        f"{asked.campaign}: what is still to run, at most ({measured}); what other campaigns have made already will be reused",
        as_json,
    )


def _to_begin(asked: Asked, at: Rates) -> Iterator[tuple[str, Cost]]:
    opening = asked.opening()
    recipe, source = opening.preview()
    if opening.model is None:
        yield from (("begin", cost) for cost in warm_start_cost(opening.warm_recipe(source), at))
    counts = opening.counted(source)
    yield from _rounds(recipe, counts, -1, opening.rounds, at)
    if opening.rounds:
        yield "closing", evaluation_cost(recipe, "test", counts["test"] * (opening.rounds + 1), at)


def _to_continue(folder: CampaignFolder, rounds: int | None, at: Rates) -> Iterator[tuple[str, Cost]]:
    campaign = folder.load()
    UserCode.allow(folder.code)
    recipe, finished = folder.recipe(), folder.finished()
    goal = campaign.rounds if rounds is None else rounds
    last = max((record.round for record in finished), default=-1)
    yield from _rounds(recipe, campaign.problems.counts, last, goal, at)
    models = len(finished) + max(0, goal - last)
    untested = models - sum("evaluate/test" in record.stages for record in finished)
    if untested and max(goal, last) >= max(1, campaign.rounds):
        yield "closing", evaluation_cost(recipe, "test", campaign.problems.counts["test"] * untested, at)


def _rounds(recipe: Recipe, counts: dict[str, int], last: int, goal: int, at: Rates) -> Iterator[tuple[str, Cost]]:
    """The base model's figures (round 0) and the rounds after the last finished one (-1: none is)."""
    if last < 0:
        yield from (("base model", cost) for cost in measuring_cost(recipe, counts, at))
    for number in range(max(1, last + 1), goal + 1):
        yield from ((f"round {number}", cost) for cost in round_cost(recipe, counts, at, number))


def _row(when: str, cost: Cost) -> dict[str, Any]:
    return {
        "when": when,
        "stage": cost.stage,
        "completions": cost.completions,
        "tokens at most": cost.tokens,
        "steps": cost.steps,
        "about seconds": round(cost.seconds, 1),
        "about MB": round(cost.bytes / 1e6, 1),
    }
