"""The commands of `roundhouse` that make rounds run by themselves: up, schedule."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.options import AsJson

app = typer.Typer(rich_markup_mode=None)


@app.command()
def up(
    prefect_port: Annotated[int, typer.Option(help="Where the Prefect server listens.", min=1, max=65535)] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="Where the MLflow server listens.", min=1, max=65535)] = 5000,
    check: Annotated[bool, typer.Option("--check", help="Say what of it runs; exit status 1 unless all of it answers.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a Prefect server, an MLflow server and a worker on this machine, and stay until Ctrl-C."""
    from flows import up

    if check:
        up.check(as_json)
    else:
        up.up(prefect_port, mlflow_port, as_json)


@app.command()
def schedule(
    name: Annotated[str | None, typer.Argument(help="The campaign's name; all that is scheduled unless given.")] = None,
    cron: Annotated[str | None, typer.Option(help="When its next round starts: '0 1 * * *' is every night at one.")] = None,
    every: Annotated[str | None, typer.Option(help="How often instead: 90s, 30m, 6h, 1d.")] = None,
    off: Annotated[bool, typer.Option("--off", help="No longer.")] = False,
    audit: Annotated[bool, typer.Option("--audit", help="Its audit instead of its next round.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the next round of a campaign by the clock, or show what is scheduled."""
    from flows import scheduling

    scheduling.schedule(name, cron, every, off=off, audit=audit, as_json=as_json)
