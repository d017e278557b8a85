r"""Math-Verify (huggingface/Math-Verify 0.9) in processes that can be killed.

sympy works without bound on input such as `9^{9^9}`, and Math-Verify's own limits need SIGALRM, which only a main thread
may use. So its comparisons run in a pebble pool of spawned processes, started when the first pair needs it. A pair may use
the processor for `How.seconds` and is undecided after that. An alarm inside the process ends it; where none can, inside an
operation of C, the kernel ends the process; where that does not run at all, pebble kills it; another takes its place. Pairs
travel in chunks, for a message costs as much as an easy pair; a chunk whose process ended is gone through again pair by
pair, so that only the culprit is undecided.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Sequence
from multiprocessing import util
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, NamedTuple

from lib.bare_main import bare_main
from lib.errors import ChildCrashed
from lib.verifiers.math_work import AFTER_SECONDS, Found, How, Pair, prepare, work

PATIENCE = 5
"""Seconds by the clock for each second of the processor that a process may use before pebble kills it."""
STALLED_SECONDS = 60
"""How long the oldest chunk may stay without an answer, the start of the processes included, before all are replaced."""
CHUNK = 32
"""Most pairs in one message."""
MOST_WORKERS = 16
"""Most processes, on a machine with many cores."""


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        with bare_main():
            return SpawnProcess._Popen(process_obj)


class _Context(SpawnContext):
    Process = _Process


class _Running(NamedTuple):
    pool: Any
    pid: int
    """The process that started it: a fork of that process has none."""


_lock = threading.Lock()
_running: _Running | None = None


def compare(pairs: Sequence[Pair], how: How) -> list[Found]:
    """Whether the second of each pair equals the first, the gold answer, in order; equal pairs are compared once.

    Raises ChildCrashed if no process can be started.
    """
    left = list(dict.fromkeys(pairs))
    found: dict[Pair, Found] = {}
    for _attempt in range(3):  # a pool breaks when its idle processes are killed or stopped from outside
        try:
            _work_off(left, how, found)
            return [found[pair] for pair in pairs]
        except RuntimeError:  # pebble's BrokenProcessPool, and what it raises once stopped
            stop()
            left = [pair for pair in left if pair not in found]
    raise ChildCrashed("no process for symbolic mathematics can be started; does `python -c 'import math_verify'` run?")


def workers() -> int:
    """How many processes share the work: one for each core that this process may use."""
    return min(MOST_WORKERS, len(os.sched_getaffinity(0)))


def start(count: int | None = None) -> Any:
    """The running pool; starts `count` processes, or `workers()`, where none runs."""
    global _running
    with _lock:
        if _running is None or _running.pid != os.getpid():
            from pebble import ProcessPool

            pool = ProcessPool(max_workers=count or workers(), initializer=prepare, context=_Context())
            _running = _Running(pool, os.getpid())
            # before multiprocessing's own exit, which would wait for the processes for ever
            util.Finalize(None, stop, exitpriority=10)
        return _running.pool


def stop() -> None:
    """End the processes; the next pair starts new ones."""
    global _running
    with _lock:
        running, _running = _running, None
    if running is not None and running.pid == os.getpid():
        running.pool.stop()
        running.pool.join()


def _work_off(pairs: list[Pair], how: How, found: dict[Pair, Found]) -> None:
    """Fill `found` for all of these distinct pairs. Raises RuntimeError if the pool breaks."""
    size = max(1, min(CHUNK, len(pairs) // (4 * workers())))
    sent = deque(_send(tuple(pairs[i : i + size]), how) for i in range(0, len(pairs), size))
    try:
        while sent:
            chunk, future = sent[0]
            answers = _answers(chunk, future, how)
            sent.popleft()
            found.update(zip(chunk, answers, strict=False))
            left = chunk[len(answers) :]
            again = [left] if answers and left else [(pair,) for pair in left]
            sent.extend(_send(part, how) for part in again)
    finally:
        for _, future in sent:
            future.cancel()


def _send(chunk: tuple[Pair, ...], how: How) -> tuple[tuple[Pair, ...], Any]:
    return chunk, start().schedule(work, args=(chunk, how), timeout=PATIENCE * (how.seconds + AFTER_SECONDS))


def _answers(chunk: tuple[Pair, ...], future: Any, how: How) -> list[Found]:
    """What came back for the first pairs of a chunk: nothing where its process ended, for one of several is to blame."""
    from pebble import ProcessExpired

    try:
        return future.result(timeout=STALLED_SECONDS)
    except TimeoutError:
        if not future.done():
            raise RuntimeError("no process takes the oldest chunk") from None
        reason = f"took longer than {how.seconds:g} seconds"
    except ProcessExpired as error:
        reason = f"its process ended with exit code {error.exitcode}"
        if error.exitcode == -signal.SIGXCPU:
            reason = f"took longer than {how.seconds:g} seconds"
    return [Found(None, reason)] if len(chunk) == 1 else []
