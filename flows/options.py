"""Options of the `roundhouse` command that several of its commands share."""

from __future__ import annotations

from typing import Annotated

import typer

SEED = "Seed of the base model and of all that rounds draw (the problems are the same for every seed)"

Name = Annotated[str, typer.Argument(help="The campaign's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Change a setting of the recipe: sampler.n=16. Repeatable.")]
RoundSettings = Annotated[
    list[str] | None, typer.Option("--set", help="Change a setting of the recipe for this round alone: sampler.n=16. Repeatable.")
]
Rounds = Annotated[int | None, typer.Option(help="How many rounds in all; 3 for a new campaign.", min=0)]
Numbers = Annotated[int | None, typer.Option(help="Numbers in a built-in problem: 3, 4 or 5; 3 unless given.", min=3, max=5)]
Problems = Annotated[
    str | None, typer.Option(help="A problem set: NAME:PATH, such as gsm8k:FOLDER, or a file; the built-in Countdown unless given.")
]
Count = Annotated[int | None, typer.Option(help="Training problems a round; 2500 unless given.", min=1)]
HeldOut = Annotated[int | None, typer.Option(help="Problems of validation and of test; twice as many for the gate.", min=2)]
Model = Annotated[str | None, typer.Option(help="A model folder to start from; the built-in model unless given.")]
BudgetSeconds = Annotated[
    float | None,
    typer.Option(help="Stop between shards once the campaign has spent so many seconds of a device, in all its runs.", min=0.0),
]
BudgetTokens = Annotated[
    int | None, typer.Option(help="Stop between shards once the campaign has sampled so many tokens, in all its runs.", min=0)
]
WarmStart = Annotated[
    str | None,
    typer.Option(
        help="The recipe of lib/recipes by which the built-in model is made, such as warm_start_roles; the recipe's own unless given."
    ),
]
BudgetLoopTokens = Annotated[
    int | None,
    typer.Option(
        help="Begin no round that would take all rounds together over so many tokens, sampled and trained on, evaluation apart, whoever "
        "made them; then close.",
        min=1,
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait while another process runs the campaign, instead of saying so.")]
