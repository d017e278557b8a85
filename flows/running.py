"""What the commands that run something do: improve, model new; and how whatever runs is stopped."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from flows import planning, showing, terminal
from flows.asking import Asked
from flows.watching import watching
from lib import holding
from lib import home as homes
from lib.budget import Budget
from lib.errors import BudgetSpent, RoundhouseError, UserError
from lib.home import Home
from lib.interrupts import insisted
from lib.job import Label
from lib.opening import Opening
from lib.store import Store
from lib.time_limits import time_limits


def improve(asked: Asked, budget: Budget, *, wait: bool, remake: bool, as_json: bool) -> None:
    """Begin or continue a campaign, then print its figures; stopped by its budget it has ended well."""
    home = homes.current()
    folder = asked.checked(home)
    if not wait:
        holding.refuse_held(folder.path, folder.name)
    for line in (*asked.left_out(home), *planning.lack_of_room(asked, home)):
        terminal.errors.print(f"roundhouse: {line}", markup=False, soft_wrap=True)
    with running(home), watching(home, [folder.name], quiet=as_json):
        from flows.desk import Desk
        from flows.improve import improve as flow
        from flows.stopping import outcome

        opening = None if folder.exists else asked.opening()
        try:
            with Desk.at(asked.campaign, opening=opening, wait=wait, remake=remake, budget=budget):
                limits = {"budget_seconds": budget.seconds, "budget_tokens": budget.tokens, "budget_loop_tokens": budget.loop_tokens}
                found = flow(asked.campaign, asked.rounds, **limits)
        except BudgetSpent as spent:  # by the base model, before there was a campaign to continue
            found = outcome(spent, folder)
    if as_json:
        terminal.print_json(found)
    else:
        showing.campaign(folder)


@contextlib.contextmanager
def running(home: Home, *, at_work: bool = True) -> Iterator[None]:
    """A Prefect server for as long as something runs; Ctrl-C, SIGTERM and a closed terminal end in one line and exit status 130.

    Where this process itself is `at_work`, what its stages need is imported beside it from the beginning. Where others work for
    it, they take their time to stop, so that it is told at once that they will.
    """
    from flows.server import prefect_server
    from flows.server_watch import watched
    from lib.forkserver import start_server

    terminal.show_warnings()
    time_limits()  # a mistake in it is told before anything starts
    if at_work:
        start_server()  # imports what the stages need while the Prefect server starts
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heard = [one for one in ends if signal.getsignal(one) is not signal.SIG_IGN]  # as nohup has it
    with insisted(heard, None if at_work else _tell) as interrupts:
        try:
            with prefect_server(home) as url, watched(url):
                yield
        except (KeyboardInterrupt, Exception) as error:
            if isinstance(error, RoundhouseError) or not (interrupts.came or isinstance(error, KeyboardInterrupt)):
                raise
            terminal.errors.print("roundhouse: stopped; the same command continues", markup=False)
            raise SystemExit(130) from None


def _tell() -> None:
    os.write(2, b"roundhouse: stopping; what is done is kept\n")  # a handler may interrupt whoever writes to sys.stderr


def model_new(out: str, seed: int, steps: int | None, warm_start: str | None = None, *, text: bool, as_json: bool) -> None:
    """Build the built-in model in the store, or the one for text, and copy it out."""
    if text and (steps or warm_start):
        raise UserError("--steps and --warm-start are for the warm start, and a model for text has none; leave one out")
    home = homes.current()
    target = Path(out).expanduser()
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file; give a new folder")
    if target.exists() and any(target.iterdir()):
        raise UserError(f"{target} is not empty; give a new folder")
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {target.parent} ({error.strerror}); give a folder that can be written") from None
    opening = Opening(seed=seed, warm_start={"trainer.steps": str(steps)} if steps else {}, warm_recipe=warm_start)
    with running(home), terminal.bars(quiet=as_json) as bars:
        from flows.begin import make_model

        def told(label: Label, done: int, total: int) -> None:
            bars.set("model", label.stage_path, done / max(total, 1))

        digest = make_model(opening, home, told, text=text)
    _copy_out(Store(home.store), digest, target)
    if as_json:
        terminal.print_json({"model": digest, "folder": str(target)})
        return
    problems = " --problems NAME:PATH" if text else ""
    words = f"roundhouse improve from-{digest[:8]} --model {shlex.quote(str(target))}{problems} --set 'trainer.replay=[]'"
    terminal.console.print(f"model {digest[:12]} written to {target}; use it with:\n{words}", markup=False, soft_wrap=True)


def _copy_out(store: Store, model: str, target: Path) -> None:
    """Copy a model's folder so that the target is whole or not there."""
    aside = target.resolve().with_name(f".{target.resolve().name}.{os.getpid()}")
    try:
        shutil.copytree(store.folder(model), aside, ignore=shutil.ignore_patterns(".*.json"))
        store.verify(model)  # no campaign has it, so that it may be collected while it is copied
        if target.exists():
            target.rmdir()
        aside.rename(target.resolve())
    except shutil.Error as error:  # copytree's own, one entry a file
        raise UserError(f"cannot write {target}: {error.args[0][0][2]}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
