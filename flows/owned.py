"""Processes that carry a mark in their environment: what one keeper or one `roundhouse up` started, however deep, and no other.

The kernel shows every process's environment as it was when it was started, and children inherit it, so a mark that is drawn
anew each time tells our own processes from any other that took over a port or a process number.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

MARK = "ROUNDHOUSE_STARTED_BY"
"""The variable that holds the mark."""

POLL_SECONDS = 0.1


def is_marked(pid: int, mark: str) -> bool:
    """Whether a process lives and was started under this mark; one that ended and was not yet waited for is none."""
    return _has(Path("/proc") / str(pid), f"{MARK}={mark}".encode())


def marked(mark: str) -> list[int]:
    """Every living process that was started under a mark, but for the one that asks."""
    wanted = f"{MARK}={mark}".encode()
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if int(entry.name) != os.getpid() and _has(entry, wanted)]


def flow_runs(mark: str) -> list[int]:
    """Those of them in which a worker runs a flow."""
    return [pid for pid in marked(mark) if b"prefect.engine" in _read(Path("/proc") / str(pid) / "cmdline").split(b"\0")]


def send(pids: Iterable[int], what: signal.Signals) -> None:
    """Send a signal to each that still lives."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


def end(asked: Callable[[], Iterable[int]], seconds: float, stops: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGKILL)) -> None:
    """Send each signal in turn to what is asked for, until nothing of it lives; `seconds` are left between two signals."""
    for stop in stops:
        send(asked(), stop)
        deadline = time.monotonic() + seconds
        while any(True for _ in asked()):
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        else:
            return


def _has(process: Path, wanted: bytes) -> bool:
    return wanted in _read(process / "environ").split(b"\0")


def _read(path: Path) -> bytes:
    with contextlib.suppress(OSError):  # it ended meanwhile, or is somebody else's
        return path.read_bytes()
    return b""
