"""The commands of `roundhouse` that set recipes side by side: compare and demo."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.options import SEED, AsJson, Count, HeldOut, Model, Numbers, Problems, WarmStart

app = typer.Typer(rich_markup_mode=None)


@app.command()
def compare(
    recipes: Annotated[str | None, typer.Option(help="Recipes to compare, the one of interest first: expert_iteration,warm_only.")] = None,
    name: Annotated[str, typer.Option(help="The comparison's name; its campaigns are NAME-RECIPE-seedS.")] = "compare",
    rounds: Annotated[int | None, typer.Option(help="Rounds of each; 3 unless given.", min=1)] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds of each; 3 unless given.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help=f"{SEED}, the first of them; 0 unless given.")] = None,
    budget_tokens: Annotated[
        int | None, typer.Option(help="The most tokens that the rounds of each may sample and train on, evaluation apart.", min=1)
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting of all: sampler.n=16; or of one: RECIPE:sampler.n=16. Repeatable.")
    ] = None,
    model: Model = None,
    problems: Problems = None,
    count: Count = None,
    held_out: HeldOut = None,
    warm_steps: Annotated[int | None, typer.Option(help="Training steps of the built-in model's warm start.", min=1)] = None,
    warm_start: WarmStart = None,
    numbers: Numbers = None,
    jobs: Annotated[int | None, typer.Option(help="Campaigns at once; as many as cores unless given.", min=1)] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would run, and what it would cost; run nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run several recipes from one base model, seed by seed, or go on with it, and say which is better, by how much, and how surely."""
    from flows import comparing, comparing_plan

    options = {
        "model": model,
        "problems": problems,
        "count": count,
        "held-out": held_out,
        "warm-steps": warm_steps,
        "warm-start": warm_start,
        "numbers": numbers,
    }
    asked = comparing.asked(name, recipes, rounds, (seed, seeds), budget_tokens, settings, options)
    if plan:
        comparing_plan.plan(asked, as_json)
    else:
        comparing.compare(asked, jobs, as_json)


@app.command()
def demo(seed: Annotated[int, typer.Option(help=f"{SEED}.")] = 0, as_json: AsJson = False) -> None:
    """Watch a small model get better in three rounds, beside a control that only trains longer."""
    from flows import comparing

    comparing.demo(seed, as_json)
