"""The commands of `roundhouse` by which data leaves a home: export, forget."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.options import AsJson

app = typer.Typer(rich_markup_mode=None)
export = typer.Typer(
    name="export", help="Take a model, examples or a whole audit out of the home.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(export)


@app.command()
def forget(
    kind: Annotated[str, typer.Argument(help="problem or completion.")],
    found: Annotated[str, typer.Argument(metavar="ID", help="An id or its beginning.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be rewritten and who learned from it; change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take a problem or a completion out of every artifact for good, and name the models that learned from it."""
    from flows import forgetting

    forgetting.forget(kind, found, dry_run=dry_run, as_json=as_json)


@export.command("model")
def export_model(
    model: Annotated[str, typer.Argument(help="CAMPAIGN (its champion), CAMPAIGN:ROUND, or a digest or its beginning.")],
    folder: Annotated[str, typer.Argument(help="The folder to write; it must be empty or not there.")],
    as_json: AsJson = False,
) -> None:
    """A model with its tokenizer, as transformers loads it."""
    from flows import exporting

    exporting.model(model, folder, as_json=as_json)


@export.command("examples")
def export_examples(
    campaign: Annotated[str, typer.Argument(help="CAMPAIGN, or CAMPAIGN:ROUND for one round.")],
    folder: Annotated[str, typer.Argument(help="The folder to write; it must be empty or not there.")],
    as_json: AsJson = False,
) -> None:
    """What a campaign's models learned from, as a dataset of Hugging Face's datasets."""
    from flows import exporting

    exporting.examples(campaign, folder, as_json=as_json)


@export.command("bundle")
def export_bundle(
    campaign: Annotated[str, typer.Argument(help="The campaign's name.")],
    target: Annotated[str, typer.Argument(metavar="FILE_OR_FOLDER", help="A folder, or a file that ends in .zip, .tar or .tar.gz.")],
    weights: Annotated[bool, typer.Option("--weights", help="The models' weights too.")] = False,
    as_json: AsJson = False,
) -> None:
    """A campaign with all its tables, records and rounds, and a verify.py that checks them with Python alone."""
    from flows import exporting

    exporting.bundle(campaign, target, weights=weights, as_json=as_json)
