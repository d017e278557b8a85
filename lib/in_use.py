"""Which models running processes count on, so that garbage is collected safely beside them.

    locks/collecting.lock       held shared while a process finds or publishes a model, exclusively while one collects
    locks/in-use/PID-UUID       the models that a process found or made, a digest a line; it holds this file's lock as it lives

A campaign that is held keeps all that its records name. What it has found or made and not yet recorded stands here. One
that begins while somebody collects waits for the end of that, some seconds at most, and then sees what was collected.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from lib.store import Publication

Found = TypeVar("Found", Publication, Publication | None)


class InUse:
    """The models that this process counts on."""

    def __init__(self, locks: Path) -> None:
        self._locks = locks
        self._file: int | None = None
        self._path = locks / "in-use" / f"{os.getpid()}-{uuid.uuid4().hex}"

    def wait(self) -> None:
        """Return once nobody collects."""
        with _held(self._locks, fcntl.LOCK_SH):
            pass

    def find(self, find: Callable[[], Found]) -> Found:
        """The publication of a model that `find` finds or makes while nobody collects; it is counted on from then."""
        with _held(self._locks, fcntl.LOCK_SH):
            found = find()
            if found is not None:
                self._add(found.digest)
            return found

    def keep(self, digest: str, verify: Callable[[str], None]) -> None:
        """Count on a model that `verify` finds whole while nobody collects; raises what that raises."""
        with _held(self._locks, fcntl.LOCK_SH):
            verify(digest)
            self._add(digest)

    def _add(self, digest: str) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        os.write(self._file, f"{digest}\n".encode())

    def close(self) -> None:
        """Count on nothing any more."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


@contextmanager
def counted_on(locks: Path, digest: str, verify: Callable[[str], None]) -> Iterator[None]:
    """In this block the weights of a model that `verify` finds whole are not collected; raises what that raises."""
    used = InUse(locks)
    try:
        used.keep(digest, verify)
        yield
    finally:
        used.close()


@contextmanager
def collecting(locks: Path) -> Iterator[None]:
    """Nobody else collects, finds a model or publishes one in this block."""
    with _held(locks, fcntl.LOCK_EX):
        yield


def in_use(locks: Path) -> set[str]:
    """The models that living processes count on."""
    found: set[str] = set()
    for path in (locks / "in-use").glob("*"):
        with suppress(FileNotFoundError):
            if not _is_held(path):
                continue
            found.update(path.read_text(encoding="utf-8").split())
    return found


def drop_abandoned(locks: Path) -> None:
    """Remove what killed processes left; to be called while collecting."""
    for path in (locks / "in-use").glob("*"):
        if not _is_held(path):
            path.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def _held(locks: Path, how: int) -> Iterator[None]:
    locks.mkdir(parents=True, exist_ok=True)
    handle = os.open(locks / "collecting.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
