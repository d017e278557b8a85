"""Writing what leaves a home: aside, into a folder that has its name only when it is whole."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.errors import UserError


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """A new folder beside a target that takes its place at the end. Raises UserError where something stands there."""
    refuse(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    folder.mkdir()
    try:
        yield folder
        folder.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuse(target: Path) -> None:
    """Raise UserError unless a target is not there, or an empty folder."""
    if target.is_dir() and any(target.iterdir()):
        raise UserError(f"{target} is not empty; give another folder, or empty it")
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is there already; give another name, or remove it")
