"""Children of a forkserver that has imported torch, transformers and the trainers, and nothing of ours or of Prefect.

The server is one per process and starts with the first child; each child is then a fork of it and starts in
milliseconds. CUDA is first touched in a child, never here or in the server. What this module knows of multiprocessing:

* `__main__` is run again in every child, so that under a worker each one would import Prefect: an empty module stands
  in for it while a child is started;
* a child is the server's child, not ours: its exit code comes through a pipe, its resource use it must report itself;
* the environment of the server is that of the moment it started;
* a preload module that cannot be imported is skipped without a word: the child says which are missing.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import wait
from typing import Any

from lib.bare_main import bare_main
from lib.environment import quiet_environment
from lib.errors import ChildCrashed

PRELOAD = (
    "torch",
    "transformers",
    "trl",
    "trl.trainer.sft_trainer",  # trl and peft import lazily: without these each child would pay seconds
    "trl.trainer.dpo_trainer",
    "trl.trainer.kto_trainer",
    "trl.trainer.reward_trainer",
    "peft",
    "datasets",
    "accelerate",
    "pydantic.main",  # pydantic imports lazily too
    "pydantic.types",
    "pyarrow.parquet",
)
"""What the server imports before its first fork."""

TICK_SECONDS = 0.5
"""Longest sleep while waiting for a child: an exception that Prefect throws into a thread lands only between two."""

REAP_SECONDS = 10.0
"""How long a killed child is waited for; one that a driver holds in the kernel may take longer and is left to it."""

_context = multiprocessing.get_context("forkserver")
_lock = threading.Lock()  # multiprocessing polls all children at every start, unsafely if another thread reaps one


def start_server(preload: Sequence[str] = PRELOAD) -> None:
    """Start the server, if it does not run, and return at once: its imports then overlap with the caller's work."""
    quiet_environment()
    _context.set_forkserver_preload(list(preload))
    resource_tracker.ensure_running()  # it would unblock the signal again
    # a Ctrl-C while the server imports would end it with a traceback of its own; it goes with us anyway
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Child:
    """A process that calls `target(connection, argument)` and is expected to lead its own process group."""

    def __init__(self, target: Callable[[Any, Any], None], argument: Any) -> None:
        """Start it. Raises ChildCrashed if the server cannot, which means that one of its imports crashes."""
        start_server()
        self.leads_group = False
        self.connection, theirs = _context.Pipe()
        self._process = _context.Process(target=target, args=(theirs, argument))
        try:
            with _lock, bare_main():
                self._process.start()
        except (EOFError, ConnectionError) as error:
            raise ChildCrashed(f"no child process can be started; does `python -c 'import {', '.join(PRELOAD)}'` run?") from error
        finally:
            theirs.close()
        self.pid: int = self._process.pid or 0
        self._sentinel = self._process.sentinel
        atexit.register(self.kill)  # before multiprocessing's own exit, which would wait for the child for ever

    def has_ended(self) -> bool:
        return bool(wait([self._sentinel], 0))

    def receive(self, deadline: float | None = None) -> Any:
        """The child's next message. Raises EOFError if it ended first, TimeoutError past `deadline` (time.monotonic)."""
        while True:
            left = TICK_SECONDS if deadline is None else min(TICK_SECONDS, deadline - time.monotonic())
            ready = wait([self.connection, self._sentinel], max(left, 0))
            if self.connection in ready or self.connection.poll(0):  # the last words of a child that has ended count
                try:
                    return self.connection.recv()
                except ConnectionError as error:
                    raise EOFError from error
            if ready:
                raise EOFError
            if left <= 0:
                raise TimeoutError

    def kill(self, grace_seconds: float = 0.0) -> None:
        """Kill the child and its whole group; with a grace, ask first and wait that long for the child to end."""
        if grace_seconds:
            self._signal(signal.SIGTERM)
            wait([self._sentinel], grace_seconds)
        self._signal(signal.SIGKILL)

    def reap(self) -> int | None:
        """Kill what is left, release what we hold of the child and return its exit code (minus the signal's number)."""
        self.kill()
        atexit.unregister(self.kill)
        with _lock:
            self._process.join(REAP_SECONDS)
            code = self._process.exitcode
            if code is not None:
                self._process.close()
        self.connection.close()
        return code

    def _signal(self, number: signal.Signals) -> None:
        # until the child has said that it leads a group, its group is the server's, and ours
        with contextlib.suppress(ProcessLookupError):
            if self.leads_group:
                os.killpg(self.pid, number)
            elif not self.has_ended():
                os.kill(self.pid, number)
