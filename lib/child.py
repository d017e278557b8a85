"""What runs inside the child process of a session: take a device, do work items, say in words how one failed.

The child leads its own process group and session, so it can be killed whole and a Ctrl-C in the terminal does not reach
it; it dies with the process that started it, however that ends. Everything that passes between the two is one of the
dataclasses below. After a failed item the child ends: memory, threads and half-made state go with it.
"""

from __future__ import annotations

import errno
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from lib import errors
from lib.devices import take_slot
from lib.forkserver import PRELOAD
from lib.protocols import Report, Work
from lib.strategy import UserCode

OUT_OF_MEMORY_EXIT = 77
"""Exit code of a child that ran out of memory, so that the session knows even where no message came through."""

REPORT_SECONDS = 0.2
"""Shortest time between two progress messages, the last one of a count apart."""

_MEMORY_WORDS = ("out of memory", "DefaultCPUAllocator: can't allocate", "CUBLAS_STATUS_ALLOC_FAILED")


@dataclass(frozen=True, slots=True)
class Setup:
    """What a child is started with."""

    device: str | None
    """The device to hold a slot of; None for work that needs none."""
    slots: int
    lock_folder: Path
    environment: dict[str, str]
    code_root: Path | None


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of work: a stage function as `module:name`, what it is given, and the folder it writes to."""

    function: str
    work: Work
    out: Path


@dataclass(frozen=True, slots=True)
class Leading:
    """The child leads its own process group and may be killed with it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """All slots of the device are taken, by these pids."""

    holders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """The device is held; `missing` names the preloaded modules that the server could not import."""

    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What an item cost. The peak of resident memory is over the child's life, that of CUDA over the item."""

    seconds: float
    """By the clock, from when the child took it up: a device is held then."""
    cpu_seconds: float
    max_rss_bytes: int
    cuda_max_bytes: int


@dataclass(frozen=True, slots=True)
class Done:
    stats: dict[str, Any]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Failed:
    """How an item failed: the name of a class of lib.errors, its message, and the child's traceback."""

    error: str
    message: str
    traceback: str


class Wire:
    """The child's end of the pipe; a stage may report from any of its threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._reported = 0.0

    def send(self, message: Any) -> None:
        with self._lock:
            self._connection.send(message)

    def report(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self.send(Progress(done, total))


def serve(connection: Connection, setup: Setup) -> None:
    """The child's whole life: prepare, then one item after the other until the session closes the pipe."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the server has it blocked
    threading.Thread(target=_die_with_parent, daemon=True).start()
    wire = Wire(connection)
    doing = "start"
    try:
        wire.send(Leading())
        # kept alive by this name: closing the file would let the device go
        slot = _prepare(setup, wire)  # noqa: F841
        while (item := _next_item(connection)) is not None:
            doing = item.function
            done = perform(item, wire.report)
            _flush()
            wire.send(done)
    except Exception as error:  # a stage may raise anything, and the session needs to know which kind of thing it was
        _end(wire, failure(error, doing))


def perform(item: Item, report: Report) -> Done:
    """Run one item in this process. Raises StageFailed if there is no such function, and whatever the stage raises."""
    run = _find(item.function)
    machine = replace(item.work.machine, report=report)
    cuda = _cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()
    before, started = _cpu_seconds(), time.monotonic()
    stats = run(replace(item.work, machine=machine), item.out)
    cuda = _cuda()
    usage = Usage(
        seconds=time.monotonic() - started,
        cpu_seconds=_cpu_seconds() - before,
        max_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        cuda_max_bytes=cuda.max_memory_allocated() if cuda is not None else 0,
    )
    return Done(stats, usage)


def failure(error: Exception, doing: str) -> Failed:
    """Which class of lib.errors an exception of a stage amounts to, and the line that says so."""
    text = "".join(traceback.format_exception(error))
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    if _is_out_of_memory(error):
        return Failed("OutOfMemory", f"{doing}: {line or 'out of memory'}", text)
    if _is_disk_full(error):
        return Failed("UserError", f"no space left on the disk ({doing}: {line}); free some and run the same command again", text)
    if isinstance(error, errors.RoundhouseError):
        known = next(c.__name__ for c in type(error).__mro__ if c.__module__ == errors.__name__)
        return Failed(known, str(error), text)
    return Failed("StageFailed", f"{doing}: {type(error).__name__}: {line}", text)


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, RuntimeError):  # torch.OutOfMemoryError is one, and importing torch to say so costs seconds
        return type(error).__name__ == "OutOfMemoryError" or any(words in str(error) for words in _MEMORY_WORDS)
    return isinstance(error, MemoryError)


def _is_disk_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return os.strerror(errno.ENOSPC) in str(error)  # writers in Rust and C++ raise classes of their own


def _find(function: str) -> Callable[[Work, Path], dict[str, Any]]:
    module, _, name = function.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise errors.StageFailed(f"no stage function '{function}': {error}") from error


def _prepare(setup: Setup, wire: Wire) -> Any:
    os.environ.update(setup.environment)
    if "OMP_NUM_THREADS" in setup.environment and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(setup.environment["OMP_NUM_THREADS"]))  # torch read it in the server
    if "transformers" in sys.modules:
        sys.modules["transformers"].utils.logging.disable_progress_bar()  # ours tells of the stage, not of its weights
    UserCode.allow(setup.code_root)
    slot = None
    if setup.device is not None:
        slot = take_slot(setup.lock_folder, setup.device, setup.slots, lambda holders: wire.send(Waiting(holders)))
    wire.send(Ready(tuple(name for name in PRELOAD if name not in sys.modules)))
    return slot


def _next_item(connection: Connection) -> Item | None:
    try:
        return connection.recv()
    except EOFError:
        return None


def _end(wire: Wire, failed: Failed) -> None:
    code = OUT_OF_MEMORY_EXIT if failed.error == "OutOfMemory" else 1
    try:
        _flush()
        wire.send(failed)
    finally:
        os._exit(code)  # also where nobody is left to tell; no waiting for threads that the stage left behind


def _flush() -> None:
    """Print what the stage printed before the session knows that it is done, and may kill this process."""
    sys.stdout.flush()
    sys.stderr.flush()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # this runs only in a child
    wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)


def _cpu_seconds() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def _cuda() -> Any:
    """torch.cuda where this process has already begun to use it, otherwise None: asking must not initialise it."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
