"""Device slots: file locks, so that no two children share a device that has room for one.

A slot is an flock on `<device>-<slot>.lock`, held by the child itself: the kernel frees it however the child ends.
A process that the child forks holds it too, since it may use the device as well; one that it executes does not.
The file carries the holder's pid, for the message to whoever waits. Locks on a network file system are not relied on.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

POLL_SECONDS = 0.05
"""Pause between two looks at slots that are all taken."""


def device_name(device: str) -> str:
    """A device as lock files and safe sizes name it: `cpu`, or `cuda0` for both `cuda` and `cuda:0`."""
    kind, _, index = device.partition(":")
    return kind if kind == "cpu" else f"{kind}{index or 0}"


def default_slots(device: str) -> int:
    """How many children may use a device at once: as many as there are cores on the CPU, one elsewhere."""
    return len(os.sched_getaffinity(0)) if device_name(device) == "cpu" else 1


def take_slot(folder: Path, device: str, slots: int, waiting: Callable[[tuple[int, ...]], None]) -> TextIO:
    """Hold one of the device's slots, waiting as long as all are taken; closing the returned file lets it go.

    `waiting` is called with the holders' pids when the wait starts and whenever they change.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{device_name(device)}-{slot}.lock" for slot in range(slots)]
    told: tuple[int, ...] | None = None
    while True:
        for path in paths:
            if (file := _try_lock(path)) is not None:
                return file
        holders = tuple(pid for path in paths if (pid := _holder(path)) is not None)
        if holders != told:
            waiting(holders)
            told = holders
        time.sleep(POLL_SECONDS)


def _try_lock(path: Path) -> TextIO | None:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def _holder(path: Path) -> int | None:
    text = path.read_text().strip()
    return int(text) if text.isdigit() else None  # empty while a new holder is about to write its pid
