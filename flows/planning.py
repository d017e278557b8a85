"""What `improve --plan` prints: everything that a campaign still has to run, and the most that it may cost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

from rich.filesize import decimal
from rich.text import Text

from flows import terminal
from flows.asking import Asked
from lib import home as homes
from lib.campaign import CampaignFolder
from lib.estimate import Cost, Rates, evaluation_cost, measuring_cost, rates, round_cost, warm_start_cost
from lib.home import Home
from lib.recipe import Recipe
from lib.store import Store
from lib.strategy import UserCode

HEADINGS = {"completions": "completions", "tokens at most": "tokens", "steps": "steps", "about seconds": "seconds", "about MB": "MB"}
"""What is counted, and how a table calls it, which has little room."""


def plan(asked: Asked, as_json: bool) -> None:
    """Print what is still to come; run nothing."""
    home = homes.current()
    folder = asked.checked(home)
    at = rates(Store(home.store))
    costs = list(to_continue(folder, asked.rounds, at) if folder.exists else to_begin(asked, at))
    rows = [row(when, cost) for when, cost in costs]
    rows.append({"when": "total", "stage": "", **{name: round(sum(row[name] for row in rows), 1) for name in HEADINGS}})
    notes = dict.fromkeys((cost.stage, cost.note) for _, cost in costs if cost.note)
    if as_json:
        noted = [{**row, "note": note} for row, note in zip(rows, [*(cost.note for _, cost in costs), ""], strict=True)]
        terminal.print_json(noted if notes else rows)
        return
    measured = "rates measured in this home" if at.measured else "rates of the built-in model on one core"
    title = f"{asked.campaign}: the most that is still to run ({measured})"
    shown = [{HEADINGS.get(name, name): value for name, value in row.items()} for row in rows]
    terminal.put(
        [
            terminal.table(shown, title),
            *(Text(f"{stage}: {note}") for stage, note in notes),
            Text("What other campaigns have made already will be reused."),
        ]
    )


def lack_of_room(asked: Asked, home: Home) -> list[str]:
    """A warning in a line where the most that is still to run takes more room than the disk has; none where there is enough."""
    folder, timeless = CampaignFolder(home, asked.campaign), Rates(0.0, 0.0, measured=False)
    costs = to_continue(folder, asked.rounds, timeless) if folder.exists else to_begin(asked, timeless)
    needed, free = sum(cost.bytes for _, cost in costs), shutil.disk_usage(home.root).free
    if needed <= free:
        return []
    return [
        f"what is still to run may take {decimal(round(needed))}, and the disk that holds {home.root} has {decimal(free)} free; "
        "make room with: roundhouse gc"
    ]


def to_begin(asked: Asked, at: Rates) -> Iterator[tuple[str, Cost]]:
    opening = asked.opening()
    recipe, source = opening.preview()
    if opening.model is None:
        yield from (("begin", cost) for cost in warm_start_cost(opening.warm_start_of(source, recipe), at))
    counts = opening.counted(source)
    yield from _rounds(recipe, counts, -1, opening.rounds, at)
    if opening.rounds:
        yield "closing", evaluation_cost(recipe, "test", counts["test"] * (opening.rounds + 1), at)


def to_continue(folder: CampaignFolder, rounds: int | None, at: Rates) -> Iterator[tuple[str, Cost]]:
    campaign = folder.load()
    UserCode.allow(folder.code)
    recipe, finished = folder.recipe(), folder.finished()
    goal = folder.goal if rounds is None else rounds
    last = max((record.round for record in finished), default=-1)
    yield from _rounds(recipe, campaign.problems.counts, last, goal, at)
    models = len(finished) + max(0, goal - last)
    untested = models - sum("evaluate/test" in record.stages for record in finished)
    if untested and max(goal, last) >= max(1, folder.goal):
        yield "closing", evaluation_cost(recipe, "test", campaign.problems.counts["test"] * untested, at)


def _rounds(recipe: Recipe, counts: dict[str, int], last: int, goal: int, at: Rates) -> Iterator[tuple[str, Cost]]:
    """The base model's figures (round 0) and the rounds after the last finished one (-1: none is)."""
    if last < 0:
        yield from (("base model", cost) for cost in measuring_cost(recipe, counts, at))
    for number in range(max(1, last + 1), goal + 1):
        yield from ((f"round {number}", cost) for cost in round_cost(recipe, counts, at, number))


def row(when: str, cost: Cost) -> dict[str, Any]:
    """A line of the plan."""
    return {
        "when": when,
        "stage": cost.stage,
        "completions": cost.completions,
        "tokens at most": cost.tokens,
        "steps": cost.steps,
        "about seconds": round(cost.seconds, 1),
        "about MB": round(cost.bytes / 1e6, 1),
    }
