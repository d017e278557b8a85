"""The commands of `roundhouse` that only look: status, recipes, lineage, query; and publish."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.options import AsJson, Name

app = typer.Typer(rich_markup_mode=None)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="One campaign, with its rounds; all unless given.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Redraw until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show where campaigns stand: what runs, how far it is, and what comes next."""
    from flows import status as shown

    shown.status(name, watch=watch, as_json=as_json)


@app.command()
def explain(
    name: Name,
    number: Annotated[int, typer.Option("--round", help="Which round; 0 is the base model.", min=0)],
    stage: Annotated[str | None, typer.Option(help="One stage or phase, or PHASE/STAGE; all unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say of every stage of a past round whether it was reused or ran, why, when, and what it cost."""
    from flows import explaining

    explaining.explain(name, number, stage, as_json)


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="One recipe, or a Python file with RECIPE; all unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the recipes that come with roundhouse, or show one with what it needs and every setting."""
    from flows import recipes_shown

    recipes_shown.recipes_shown(name, as_json)


@app.command()
def lineage(
    kind: Annotated[str, typer.Argument(help="model, example, completion or problem.")],
    found: Annotated[str, typer.Argument(metavar="ID", help="An id or its beginning; for a model also CAMPAIGN or CAMPAIGN:ROUND.")],
    as_json: AsJson = False,
) -> None:
    """Walk from a model to what it learned from, and from a problem to the models that learned from it."""
    from flows import showing

    showing.lineage(kind, found, as_json)


@app.command()
def query(
    sql: Annotated[str | None, typer.Argument(help="SQL over the ledger, or the name of a named query; the list unless given.")] = None,
    limit: Annotated[int | None, typer.Option(help="Most rows to print.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the ledger: read-only SQL over every artifact."""
    from flows import showing

    showing.query(sql, limit, as_json)


@app.command()
def publish(as_json: AsJson = False) -> None:
    """Take to MLflow what waits in the outbox; exit status 1 while something still waits."""
    from flows import publishing

    publishing.publish(as_json)
