"""Ctrl-C, where what is interrupted would take it for an error of its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


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
