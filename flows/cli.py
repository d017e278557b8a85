"""The `roundhouse` command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import errno
import os
import sys
import threading
from typing import Annotated

import typer

from flows import cli_auditing, cli_comparing, cli_giving, cli_looking, cli_reporting, cli_scheduling
from flows.options import (
    SEED,
    AsJson,
    BudgetLoopTokens,
    BudgetSeconds,
    BudgetTokens,
    Count,
    HeldOut,
    Model,
    Name,
    Numbers,
    Problems,
    Rounds,
    RoundSettings,
    Settings,
    Wait,
    WarmStart,
)

app = typer.Typer(
    name="roundhouse",
    help="Language models that improve themselves in rounds: sample, verify, filter, train, evaluate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
models = typer.Typer(name="model", help="Models: make the built-in one.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(models)
app.add_typer(cli_comparing.app)
app.add_typer(cli_scheduling.app)
app.add_typer(cli_looking.app)
app.add_typer(cli_auditing.app)
app.add_typer(cli_giving.app)
app.add_typer(cli_reporting.app)


@app.command()
def improve(
    name: Annotated[str | None, typer.Argument(help="The campaign's name; the recipe's unless given.")] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe's name, or a Python file with RECIPE.")] = None,
    settings: Settings = None,
    rounds: Rounds = None,
    seed: Annotated[int | None, typer.Option(help=f"{SEED}; 0 unless given.")] = None,
    model: Model = None,
    problems: Problems = None,
    count: Count = None,
    held_out: HeldOut = None,
    warm_steps: Annotated[int | None, typer.Option(help="Training steps of the built-in model's warm start.", min=1)] = None,
    warm_start: WarmStart = None,
    attempts: Annotated[int | None, typer.Option(help="How often a rejected round is tried.", min=1)] = None,
    numbers: Numbers = None,
    same_problems: Annotated[bool, typer.Option("--same-problems", help="Train every round on the same problems.")] = False,
    budget_seconds: BudgetSeconds = None,
    budget_tokens: BudgetTokens = None,
    budget_loop_tokens: BudgetLoopTokens = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would run, and what it would cost; run nothing.")] = False,
    remake: Annotated[bool, typer.Option("--remake", help="Make lost results again even where they will differ.")] = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Begin a campaign, or continue one where it stopped."""
    from flows import planning, running
    from flows.asking import Asked

    asked = Asked(
        name,
        recipe,
        settings or [],
        rounds,
        seed,
        model,
        problems,
        count,
        held_out,
        warm_steps,
        attempts,
        numbers,
        same_problems,
        warm_start,
    )
    if plan:
        planning.plan(asked, as_json)
    else:
        from lib.budget import Budget

        running.improve(asked, Budget(budget_seconds, budget_tokens, budget_loop_tokens), wait=wait, remake=remake, as_json=as_json)


@app.command()
def rerun(
    name: Name,
    number: Annotated[int, typer.Option("--round", help="Which round.", min=1)],
    stage: Annotated[str | None, typer.Option("--from", help="The stage to run again: train, PHASE/STAGE, or evaluate.")] = None,
    phase: Annotated[str | None, typer.Option(help="The phase of that stage, where several have it.")] = None,
    settings: RoundSettings = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say for every stage whether it would be reused or run, and why.")] = False,
    remake: Annotated[bool, typer.Option("--remake", help="Make lost results again even where they will differ.")] = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Run a round again, from one of its stages or with other settings; what comes out the same is reused."""
    from flows import rerunning

    rerunning.rerun(rerunning.Asked(name, number, stage, phase, settings or []), dry_run=dry_run, remake=remake, wait=wait, as_json=as_json)


@app.command()
def verify(
    completions: Annotated[str, typer.Option(help="The file of recorded completions: JSONL, JSON, CSV, TSV or Parquet.")],
    problems: Annotated[
        str | None, typer.Option(help="The set that they answer: NAME:PATH, or a file; the file's own questions and answers unless given.")
    ] = None,
    verifier: Annotated[list[str] | None, typer.Option(help="A verifier by name; the problem set's own unless given. Repeatable.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="VERIFIER.SETTING=VALUE, or problems.SETTING=VALUE. Repeatable.")
    ] = None,
    column: Annotated[list[str] | None, typer.Option(help="FIELD=COLUMN where a column is not found: text=reply. Repeatable.")] = None,
    out: Annotated[str | None, typer.Option(help="A folder for the tables and the whole report.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge recorded completions, and say how far that agrees with the labels that they carry."""
    from flows import verifying

    verifying.verify(verifying.Asked(completions, problems, verifier or [], settings or [], column or [], out), as_json)


@app.command()
def gc(
    keep: Annotated[int, typer.Option(help="Rounds of every campaign, the last ones, that stay whole.", min=0)] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what could go; remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove weights that no champion, no recent round and no recipe needs; tables and records stay."""
    from flows import collecting

    collecting.gc(keep, dry_run=dry_run, as_json=as_json)


@models.command("new")
def model_new(
    out: Annotated[str, typer.Argument(help="The folder to write it to.")],
    seed: Annotated[int, typer.Option(help="Its seed.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Steps of its warm start; 1400 unless given.", min=1)] = None,
    warm_start: WarmStart = None,
    text: Annotated[bool, typer.Option("--text", help="One of a million random weights that reads any text, byte by byte.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build and warm-start the built-in model, and copy it to a folder."""
    from flows import running

    running.model_new(out, seed, steps, warm_start, text=text, as_json=as_json)


END_SECONDS = 30.0
"""How long a command that is done may take to end."""


def main() -> None:
    """Run the command, and end this process."""
    status = run()
    end_within(END_SECONDS, status)
    sys.exit(status)


def run() -> int:
    """Run the command, and return its exit status; a mistake is one line on standard error and status 1."""
    from lib.environment import quiet_environment
    from lib.errors import RoundhouseError

    quiet_environment()
    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except RoundhouseError as error:
        line = str(error)
    except OSError as error:
        if (found := trouble(error)) is None:
            raise
        line = found
    except KeyboardInterrupt:
        print("roundhouse: stopped; the same command continues", file=sys.stderr)  # noqa: T201
        return 130
    else:
        return 0
    print(f"roundhouse: {line}", file=sys.stderr)  # noqa: T201
    return 1


def end_within(seconds: float, status: int) -> None:
    """End this process by then at the latest, once all that it has to say is said.

    Prefect (3.8.8, seen) sends the events that wait as the interpreter ends, and waits for ever where the server was killed.
    """
    if "prefect" not in sys.modules:
        return
    sys.stdout.flush()
    last = threading.Timer(seconds, os._exit, (status,))
    last.daemon = True  # nobody waits for it
    last.start()


def trouble(error: OSError) -> str | None:
    """A disk that is full or may not be used, or has something in the way, in one line; None for what is no trouble of the user's."""
    where = error.filename2 or error.filename or os.environ.get("ROUNDHOUSE_HOME") or "data"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk that holds {where} is full; free some space and run the same command again"
    if error.errno in (errno.EROFS, errno.EACCES):
        return f"{where}: {error.strerror}; make it accessible to you, or set ROUNDHOUSE_HOME to a folder that can be written"
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return f"{where}: {error.strerror}; something stands where roundhouse keeps a file or a folder of its own: move it away"
    return None


if __name__ == "__main__":
    main()
