"""The commands of `roundhouse` that only look: status, recipes, lineage, query; and publish."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.options import AsJson

app = typer.Typer(rich_markup_mode=None)


@app.command()
def status(name: Annotated[str | None, typer.Argument(help="One campaign; all unless given.")] = None, as_json: AsJson = False) -> None:
    """Show campaigns, or the rounds of one."""
    from flows import showing

    showing.status(name, as_json)


@app.command()
def recipes(as_json: AsJson = False) -> None:
    """List the recipes that come with roundhouse."""
    from flows import showing

    showing.recipes(as_json)


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
def publish() -> None:
    """Take to MLflow what waits in the outbox."""
    from flows import showing

    showing.publish()
