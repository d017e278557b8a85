"""Writing files so that a kill leaves the old content or the new, never half."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib.errors import UserError


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, text: str, workspace: Path | None = None) -> None:
    """Replace a file's text in one step, flushed to the disk before it gets its name.

    It is written in its own folder first, or in a `workspace` on the same disk where a kill may leave nothing in its folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = (workspace or path.parent) / f".{path.name}.{uuid.uuid4().hex}"
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise _explained(error, path) from error


def write_json(path: Path, value: Any, workspace: Path | None = None) -> None:
    """Replace a JSON file in one step; indented, in the order given, to be read by people."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n", workspace)


def read_json(path: Path) -> Any:
    """A JSON file's value; UserError naming the file if it does not parse."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise UserError(f"{path} is not readable JSON{where}; restore it or remove it") from None


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the kernel's lock on a file; it is freed by any death of the holder.

    Yields True when held. With wait=False yields False at once if somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)


def _explained(error: OSError, path: Path) -> Exception:
    if error.errno == errno.ENOSPC:
        return UserError(f"the disk that holds {path.parent} is full; free some space and run the same command again")
    if error.errno in (errno.EROFS, errno.EACCES):
        return UserError(f"cannot write {path}: {error.strerror}; set ROUNDHOUSE_HOME to a folder that can be written")
    return error
