"""Who runs a campaign or a comparison: the kernel's lock on a file of its folder, freed by any death of the holder, and a note of him."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib.errors import Held, UserError
from lib.files import locked, read_json, write_atomically

PATIENCE_SECONDS = 1.0
"""How long a lock is asked for again while others only look who holds it, each for microseconds."""


def holder(folder: Path, what: str = "campaign") -> dict[str, Any] | None:
    """Who runs the campaign of a folder now (pid, host), or None; whoever looks hinders nobody else who looks."""
    try:
        handle = os.open(folder / f"{what}.lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _note(folder)
    finally:
        os.close(handle)


def spoken(campaigns: Path, pid: int) -> str:
    """A process as people know it: by the campaign that it works for, where one of this home is held by it or by a parent of it."""
    running = {found["pid"]: lock.parent.name for lock in campaigns.glob("*/campaign.lock") if (found := holder(lock.parent)) is not None}
    for ancestor in _ancestors(pid):
        if ancestor in running:
            return f"campaign '{running[ancestor]}' (pid {pid})"
    return f"pid {pid}"


def _ancestors(pid: int) -> Iterator[int]:
    """A process, its parent, and so on, as far as the kernel tells."""
    while pid > 1:
        yield pid
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            return


def refuse_held(folder: Path, name: str) -> None:
    """Raise Held, saying who holds it, if somebody runs the campaign of a folder now."""
    if (who := holder(folder)) is not None:
        raise _held("campaign", name, who)


@contextmanager
def hold(folder: Path, name: str, *, wait: bool, what: str = "campaign") -> Iterator[None]:
    """Run the campaign of a folder alone, or the comparison. Raises Held, saying who holds it, unless told to wait."""
    with _lock(folder, what, wait=wait) as who:
        if who is not None:
            raise _held(what, name, who)
        write_atomically(folder / "holder.json", json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        try:
            yield
        finally:
            (folder / "holder.json").unlink(missing_ok=True)


@contextmanager
def _lock(folder: Path, what: str, *, wait: bool) -> Iterator[dict[str, Any] | None]:
    """Yields None once the lock is held, or who else holds it."""
    patient_until = time.monotonic() + PATIENCE_SECONDS
    while True:
        with locked(folder / f"{what}.lock", wait=wait) as held:
            who = None if held else holder(folder, what)
            if held or who is not None or time.monotonic() > patient_until:
                yield None if held else who or _note(folder)
                return
        time.sleep(0.01)  # nobody runs it, somebody only looked


def _held(what: str, name: str, who: dict[str, Any]) -> Held:
    remedy = (
        "wait for it with --wait, or stop that process"
        if what == "campaign"
        else "stop that process, or give the command when it has ended"
    )
    return Held(f"{what} '{name}' is being run by process {who['pid']} on {who['host']}; {remedy}")


def _note(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_json(folder / "holder.json")
    except (FileNotFoundError, UserError):  # the holder has the lock already, or still, and no note that can be read
        return {"pid": "unknown", "host": socket.gethostname()}
    return found
