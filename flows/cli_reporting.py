"""The command of `roundhouse` that shows a campaign to others: report."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.options import AsJson, Name

app = typer.Typer(rich_markup_mode=None)


@app.command()
def report(
    name: Name,
    out: Annotated[str | None, typer.Option(help="The file to write; report.html in the campaign's folder unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a campaign's figures, alarms, lineage and a sample of its completions as one page that needs no network."""
    from flows import reporting

    reporting.report(name, out, as_json)
