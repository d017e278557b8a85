"""The commands of `roundhouse` that look closely: audit, tables, diff."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.options import AsJson, Name

app = typer.Typer(rich_markup_mode=None)


@app.command()
def audit(
    name: Name,
    offline: Annotated[bool, typer.Option("--offline", help="Look at the artifacts and records alone, not at MLflow.")] = False,
    as_json: AsJson = False,
) -> None:
    """Recompute every digest, count every row, and say what does not match; exit status 1 if anything does not."""
    from flows import auditing_command

    auditing_command.audit(name, offline=offline, as_json=as_json)


@app.command()
def tables(as_json: AsJson = False) -> None:
    """List the ledger's views with their columns, and the named queries."""
    from flows import tables as listed

    listed.tables(as_json)


@app.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="A", help="A round: CAMPAIGN:ROUND.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another: CAMPAIGN:ROUND, or a round of the same campaign.")],
    limit: Annotated[int, typer.Option(help="Problems whose outcome changed that are shown.", min=0)] = 5,
    as_json: AsJson = False,
) -> None:
    """Say what differs between two rounds: settings, code, data, what was dropped, figures, and what the models wrote."""
    from flows import differing

    differing.diff(one, other, limit, as_json)
