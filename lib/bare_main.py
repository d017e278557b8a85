"""Starting processes whose `__main__` is empty.

Multiprocessing runs the parent's `__main__` again in every process that it starts afresh. Under a Prefect worker that would
import Prefect each time, and in a user's script without a guard it would run the whole script.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import types
from collections.abc import Iterator

_lock = threading.Lock()  # two threads that swap would leave the stand-in behind


@contextlib.contextmanager
def bare_main() -> Iterator[None]:
    """An empty module stands in for `__main__` while a process is started."""
    with _lock:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
