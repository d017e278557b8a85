"""A child process that answers questions one JSON line at a time and is killed where it does not answer in time.

For work over hostile input that no limit inside a process can hold. JSON both ways, so that nothing the child says is run.
The child has an empty environment, writes no file, and holds no more memory than it is given; it ends with its parent, at
the latest when it has finished what it does. The parent's end:

    with Killable(sql_child.__name__) as child:
        answer = child.ask({"query": "…"}, seconds=5.0)

The child's end is a module that calls `serve(answer, memory_bytes)` when it is run.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from lib.errors import ChildCrashed

START_SECONDS = 60.0
"""How long a child may take to begin."""
ROOT = Path(__file__).resolve().parents[2]

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Killable:
    """One child at a time, started with the first question and again after each one that was killed."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Killable:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """The child's answer. Raises TimeoutError past the deadline and EOFError where it died, both with no child left;
        ChildCrashed where it cannot even start."""
        process = self._process or self._start()
        try:
            return _exchanged(process, question, seconds)
        except (TimeoutError, EOFError):
            self.stop()
            raise

    def stop(self) -> None:
        """Kill the child, if there is one; the next question starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
        command = [sys.executable, "-B", "-m", self._module]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0)
        try:
            _exchanged(self._process, {}, START_SECONDS)
        except (TimeoutError, EOFError) as error:
            self.stop()
            raise ChildCrashed(
                f"no child process of {self._module} can be started; does `python -c 'import {self._module}'` run?"
            ) from error
        return self._process


def _exchanged(process: subprocess.Popen[bytes], question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(question).encode() + b"\n")
    except BrokenPipeError:
        raise EOFError from None
    said = bytearray()
    while not said.endswith(b"\n"):
        if not select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0))[0]:
            raise TimeoutError
        part = os.read(process.stdout.fileno(), 1 << 16)
        if not part:
            raise EOFError
        said += part
    return json.loads(said)


def serve(answer: Answer, memory_bytes: int) -> None:
    """The child's whole life: one answer a question until the parent closes the pipe; nothing else reaches its output."""
    _limit(memory_bytes)
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin.buffer:
        question = json.loads(line)
        out.write(json.dumps(answer(question) if question else {}).encode() + b"\n")


def _limit(memory_bytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])  # what imports have taken does not count
    limits = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write then fails with an error
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's, which ends this process
