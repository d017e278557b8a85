"""How the last run of a campaign ended where it did not end well: campaigns/NAME/ending.json, for whoever looks later.

Written when a run fails or is stopped, removed when the next one begins. A run that was killed leaves none, and no run leaves
one that it could not write: what went wrong in the first place is what is raised.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from lib.errors import BudgetSpent, RoundhouseError
from lib.files import read_json, write_json


@dataclass(frozen=True, slots=True)
class Ending:
    """What is on disk about it."""

    state: str
    """failed, or stopped where somebody asked for it."""
    reason: str
    """One line."""
    error: str
    """The class of what was raised; empty where nothing was."""
    at: float
    """When, in seconds since 1970."""


@contextlib.contextmanager
def noted(folder: Path) -> Iterator[None]:
    """Leave a note in a campaign's folder if the block raises; one that an earlier run left goes first."""
    (folder / "ending.json").unlink(missing_ok=True)
    try:
        yield
    except BaseException as error:
        leave(folder, error)
        raise


def leave(folder: Path, error: BaseException) -> None:
    """Leave a note that a run ended with an error, or was stopped."""
    is_failure = isinstance(error, Exception) and not isinstance(error, BudgetSpent)  # nor are an interrupt and a worker's cancel
    _write(folder, Ending("failed" if is_failure else "stopped", one_line(error), type(error).__name__, time.time()))


def leave_stop(folder: Path, reason: str) -> None:
    """Leave a note that the recipe's own rule ended the campaign."""
    _write(folder, Ending("stopped", reason, "", time.time()))


def _write(folder: Path, note: Ending) -> None:
    with contextlib.suppress(OSError, RoundhouseError):  # a full disk may be the very reason
        write_json(folder / "ending.json", asdict(note))


def read(folder: Path) -> Ending | None:
    """The note in a campaign's folder, if there is one."""
    try:
        return Ending(**read_json(folder / "ending.json"))
    except FileNotFoundError:
        return None


def one_line(error: BaseException) -> str:
    """What an error says, in a line; one that is not ours by its class too."""
    if not isinstance(error, Exception):
        return "it was interrupted"
    first = (str(error).strip().splitlines() or [""])[0]
    return first if isinstance(error, RoundhouseError) else f"{type(error).__name__}: {first}".removesuffix(": ")
