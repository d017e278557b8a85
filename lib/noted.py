"""What was read in folders whose content hardly ever changes, kept so that thousands need not be read again.

    index/noted.json     path → when it last changed, and what was read there

It is never the truth: an entry counts only while its path has the time of change that it was read at, and without the file
everything is read anew. What changed in the last seconds is not noted, for a file system's clock may not tell two changes
of one moment apart. Small homes have no such file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lib.artifacts import parsed
from lib.files import sha256_of, write_atomically

WORTH_IT = 256
"""So many new entries are written down; fewer are read as fast again."""

SETTLED_NS = 5_000_000_000
"""What changed more recently than this may yet change without its time showing it."""


class Noted:
    """The notes of one home; `save` after everything was asked for."""

    def __init__(self, path: Path, readers: Iterable[str]) -> None:
        """`readers` are the source files of what reads: what others wrote down is not taken from them."""
        found = parsed(path, strict=False) or {}
        self._path = path
        self._format = [sha256_of(Path(source)) for source in readers]
        self._known: dict[str, Any] = found["entries"] if found.get("format") == self._format else {}
        self._asked: dict[str, Any] = {}
        self._new = 0

    def of(self, path: str, changed_ns: int, read: Callable[[], Any]) -> Any:
        """What `read` returns, a JSON value, or what it returned when the path had the same time of change."""
        known = self._known.get(path)
        if known is not None and known[0] == changed_ns:
            self._asked[path] = known
            return known[1]
        value = read()
        if time.time_ns() - changed_ns > SETTLED_NS:
            self._asked[path] = [changed_ns, value]
            self._new += 1
        return value

    def save(self) -> None:
        """Keep what was asked for, and nothing else, where that is worth it."""
        if self._new >= WORTH_IT:
            write_atomically(self._path, json.dumps({"format": self._format, "entries": self._asked}))  # in the order that it was read
