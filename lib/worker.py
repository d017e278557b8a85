"""A session: one child process that does the heavy work of a stage, item by item, watched and killable.

    with Session(device="cpu", lock_folder=home / "locks") as session:
        done = session.run("lib.stages.sample:run", work, out, timeout_seconds=600, report=bar, memory_key="m0/24")

The child is started by the first `run`, holds a slot of its device and keeps what it has loaded between items. How it
may fail (the classes are lib.errors'):

    out of memory            a new child goes on at half the micro-batch, which is remembered; OutOfMemory below 1
    killed, crashed          ChildCrashed with the signal or exit code; worth another try
    past the time limit      asked to end, killed whole after two seconds: ChildHung
    a RoundhouseError        raised here with its class and message; a full disk is a UserError
    anything else            StageFailed with one line; the child's traceback is in the exception's notes

After any of them the child and all its descendants in its group are gone, the device is free, and the next `run`
starts a new child. The same holds where the caller is interrupted, or ends in any way at all.
"""

from __future__ import annotations

import logging
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lib import errors
from lib.child import OUT_OF_MEMORY_EXIT, Done, Failed, Item, Leading, Progress, Ready, Setup, Usage, Waiting, serve
from lib.devices import default_slots, device_name
from lib.errors import ChildCrashed, ChildHung, OutOfMemory, RoundhouseError
from lib.forkserver import Child
from lib.protocols import Report, Work
from lib.safe_sizes import SafeSizes

GRACE_SECONDS = 2.0
"""How long a child past its time limit may take to end by itself."""

LARGEST_MICRO_BATCH = 512
"""What is halved first where the strategy chose its own micro-batch, which the session cannot know."""

_CLOSE_TICK_SECONDS = 0.05

log = logging.getLogger(__name__)


def silent(done: int, total: int) -> None:
    """A progress report that goes nowhere; unlike a lambda it may travel to the child."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a stage function returned, and what belongs beside it in the stats of a publication."""

    stats: dict[str, Any]
    usage: Usage
    micro_batch: int | None
    """The micro-batch it ran at; None where the strategy chose."""


class Session:
    """A lazily started child and the device slot that it holds. Threads may share one: their items take turns."""

    def __init__(
        self,
        *,
        lock_folder: Path,
        device: str = "cpu",
        slots: int | None = None,
        needs_device: bool = True,
        environment: Mapping[str, str] | None = None,
        code_root: Path | None = None,
        named: Callable[[int], str] = "pid {}".format,
    ) -> None:
        """`slots` is how many children may use the device at once: by default as many as cores on the CPU, one elsewhere.

        Without `needs_device` none is held, and the work is told to stay on the CPU.
        `environment` is set in the child before its first work, `code_root` is where a user's own strategies lie;
        `named` is how a process that holds the device is spoken of.
        """
        self.device = device if needs_device else "cpu"
        self.needs_device = needs_device
        self._setup = Setup(
            device=device if needs_device else None,
            slots=slots or default_slots(device),
            lock_folder=lock_folder,
            environment=dict(environment or {}),
            code_root=code_root,
        )
        self._sizes = SafeSizes(lock_folder)
        self._named = named
        self._child: Child | None = None
        self._running = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def run(
        self,
        function: str,
        work: Work,
        out: Path,
        *,
        timeout_seconds: float | None = None,
        report: Report = silent,
        memory_key: str | None = None,
    ) -> Result:
        """Run a stage function (`module:name`, called with work and out) in the child and return what it returned.

        The session's device stands in for the work's, and a safe size remembered under `memory_key` for a larger
        micro-batch. The time limit counts from when the child holds its device. `out` is made if it does not exist,
        and emptied before the work is tried again after running out of memory.
        """
        out.mkdir(parents=True, exist_ok=True)
        with self._running:
            size = self._first_size(work.machine.micro_batch, memory_key)
            while True:
                machine = replace(work.machine, device=self.device, micro_batch=size, report=silent)
                try:
                    done = self._attempt(Item(function, replace(work, machine=machine), out), timeout_seconds, report)
                except OutOfMemory as error:
                    size = self._smaller(size, memory_key, error)
                    _empty(out)
                else:
                    return Result(done.stats, done.usage, size)

    def release(self) -> None:
        """Let the device and the child go once the running item is done; the next `run` starts a new child."""
        with self._running:
            self._drop()

    def interrupt(self) -> None:
        """Kill the child whole; an item that it works at ends as ChildCrashed, and the next `run` starts a new child."""
        if (child := self._child) is not None:
            child.kill()

    def close(self) -> None:
        """Kill the child whole, even in the middle of another thread's item, and refuse any further work."""
        self._closed = True
        while not self._running.acquire(timeout=_CLOSE_TICK_SECONDS):
            if (child := self._child) is not None:
                child.kill()
        try:
            self._drop()
        finally:
            self._running.release()

    def _attempt(self, item: Item, timeout_seconds: float | None, report: Report) -> Done:
        try:
            return self._converse(self._hand_over(item), item, timeout_seconds, report)
        except BaseException:  # an interrupt above all: nothing may go on running for a caller who has left
            self._drop()
            raise

    def _hand_over(self, item: Item) -> Child:
        child = self._ready_child()
        try:
            child.connection.send(item)
        except BrokenPipeError:  # it was killed while idle: nothing was begun, so nothing is lost
            self._drop()
            child = self._ready_child()
            child.connection.send(item)
        return child

    def _ready_child(self) -> Child:
        if self._closed:
            raise RoundhouseError("the session is closed")
        if self._child is None:
            self._child = Child(serve, self._setup)
            self._await_ready(self._child)
        return self._child

    def _await_ready(self, child: Child) -> None:
        while True:
            match self._receive(child, "a child", None):
                case Leading():
                    child.leads_group = True
                case Waiting(holders):
                    log.warning("waiting for %s, held by %s", self.device, ", ".join(map(self._named, holders)) or "unknown")
                case Ready(missing):
                    if missing:
                        log.warning("imported late, so every stage starts slowly: %s", ", ".join(missing))
                    return
                case Failed() as failed:
                    raise _error_of(failed)

    def _converse(self, child: Child, item: Item, timeout_seconds: float | None, report: Report) -> Done:
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            try:
                message = self._receive(child, item.function, deadline)
            except TimeoutError:
                child.kill(GRACE_SECONDS)
                raise ChildHung(f"{item.function} ran past its limit of {timeout_seconds:g} s and was killed") from None
            match message:
                case Progress(done, total):
                    report(done, total)
                case Done():
                    return message
                case Failed():
                    raise _error_of(message)

    def _receive(self, child: Child, function: str, deadline: float | None) -> Any:
        try:
            return child.receive(deadline)
        except EOFError:
            raise self._crash(child, function) from None

    def _crash(self, child: Child, function: str) -> errors.ChildFailure:
        """What became of a child that ended without a word."""
        self._child = None
        code = child.reap()
        if code == OUT_OF_MEMORY_EXIT:
            return OutOfMemory(f"{function}: out of memory")
        if code is None or code >= 0:
            return ChildCrashed(f"{function}: its process {child.pid} ended with exit code {code}")
        name = signal.Signals(-code).name
        hint = " (the kernel does so when the machine runs out of memory)" if -code == signal.SIGKILL else ""
        return ChildCrashed(f"{function}: its process {child.pid} was killed by {name}{hint}")

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.reap()

    def _first_size(self, wanted: int | None, key: str | None) -> int | None:
        known = self._sizes.known(key, device_name(self.device)) if key is not None else None
        return min((size for size in (wanted, known) if size is not None), default=None)

    def _smaller(self, size: int | None, key: str | None, error: OutOfMemory) -> int:
        smaller = (size or LARGEST_MICRO_BATCH) // 2
        if not self.needs_device:
            raise error  # it holds no model, so nothing follows the micro-batch
        if smaller < 1:
            raise OutOfMemory(f"{error}; even at micro-batch 1: use a smaller model, fewer tokens or a larger device") from error
        log.warning("%s; going on at micro-batch %d", error, smaller)
        if key is not None:
            self._sizes.remember(key, device_name(self.device), smaller)
        return smaller


def _error_of(failed: Failed) -> RoundhouseError:
    kind: type[RoundhouseError] = getattr(errors, failed.error)
    error = kind.__new__(kind, failed.message)  # not called: UnknownName makes its message from other arguments
    if not isinstance(error, errors.UserError):
        error.add_note(f"in the child process:\n{failed.traceback}")
    return error


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
