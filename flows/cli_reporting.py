"""The commands of `roundhouse` that show a campaign to others: report, lm-eval."""

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


@app.command("lm-eval")
def lm_eval(
    name: Name,
    tasks: Annotated[str, typer.Option(help="Tasks of lm-evaluation-harness: gsm8k,hellaswag.")],
    number: Annotated[
        int | None, typer.Option("--round", help="Which round's model, 0 for the base; the champion unless given.", min=0)
    ] = None,
    include: Annotated[str | None, typer.Option(help="A folder with task files of your own.")] = None,
    limit: Annotated[int | None, typer.Option(help="Questions of each task; all unless given.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a round's model by lm-evaluation-harness, offline; it must be installed."""
    from flows import lm_eval as measuring

    measuring.lm_eval(name, number, tasks, include, limit, as_json)
