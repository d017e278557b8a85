"""Ctrl-C that takes effect, also where what is interrupted would pass it over."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

AGAIN_SECONDS = 0.5
"""How long an interrupt may have been passed over before it is raised again."""


class Insistence:
    """Signals that raise KeyboardInterrupt in the main thread until something ends by it."""

    def __init__(self, told: Callable[[], None] | None = None) -> None:
        self.came = False
        """Whether one of them came."""
        self._told = told
        self._number = 0
        self._is_again = False

    def hear(self, number: int, frame: FrameType | None) -> None:
        """What the signal does. Raises KeyboardInterrupt, unless this is a repetition and one is being handled."""
        is_again, self._is_again = self._is_again, False
        if not is_again:
            self.came, self._number = True, number
            if self._told is not None:
                self._told()
        elif _is_handled():
            return
        if not _is_in_finalizer(frame):  # Python passes over what is raised there, and writes a traceback about it
            raise KeyboardInterrupt

    def repeat(self, over: threading.Event) -> None:
        """Send what came again and again until it is over; from another thread than the main one."""
        while not over.wait(AGAIN_SECONDS):
            if self.came:
                self._is_again = True
                os.kill(os.getpid(), self._number)


@contextmanager
def insisted(numbers: Sequence[signal.Signals], told: Callable[[], None] | None = None) -> Iterator[Insistence]:
    """Each of these signals interrupts this block, also where one exception is lost; `told` is called at once, in the handler.

    An exception is lost in a finalizer and in a weak reference's callback, where DuckDB (2.0.0, seen) makes an error of its own
    of it, and at the end of each of Prefect's flows and tasks (3.8.8, seen), where they wait up to a second for a thread of
    theirs. So it is raised again, unless it is being handled: a second one would cut short what ends in order. The signals go
    on raising after the block, once each.
    """
    insistence = Insistence(told)
    for number in numbers:
        signal.signal(number, insistence.hear)
    over = threading.Event()
    repeating = threading.Thread(target=insistence.repeat, args=(over,), name="roundhouse-interrupts", daemon=True)
    repeating.start()
    try:
        yield insistence
    finally:
        over.set()
        repeating.join()


def _is_handled() -> bool:
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _is_in_finalizer(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


@contextmanager
def interrupted_later() -> Iterator[None]:
    """A Ctrl-C that comes in this block takes effect at its end; in other threads than the main one none comes.

    DuckDB (2.0.0, seen) turns it into errors of its own, which a block that goes on after any error would pass over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)
