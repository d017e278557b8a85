"""Starting processes that own a session, and looking at any through /proc, for the tests that kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def own(function: str, folder: Path, settings: dict[str, Any]) -> subprocess.Popen[str]:
    """A new process that runs `tiny_stages:FUNCTION` in a session whose locks are in `folder`, and prints its stats."""
    command = [sys.executable, str(HERE / "owner.py"), function, str(folder), json.dumps(settings)]
    environment = os.environ | {"PYTHONPATH": f"{HERE.parents[2]}:{HERE}"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def is_gone(pid: int) -> bool:
    """Whether a process has ended with all its threads; one that its new parent has not yet reaped has."""
    process = Path(f"/proc/{pid}")
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" and len(list((process / "task").iterdir())) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def await_that(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether something comes to hold within the time, which is generous: it passes as soon as it does."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def pids_in(marker: Path) -> list[int]:
    """The pids that a stage wrote to a file, once it has."""
    assert await_that(marker.exists, 60), f"{marker} was never written"
    return [int(pid) for pid in marker.read_text().split()]
