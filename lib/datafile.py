"""Files of the user's that a strategy reads: named by path in its settings, by their content in every key.

    class Gsm8k(Strategy):
        path: DataFile
        databases: DataFile | None = None

A setting that says where something runs or how fast, never what comes out, stays out of every key: `Annotated[int, Unkeyed()]`.
A path that begins with `hf:` names a dataset on the hub and stands for itself at a commit (`lib.hub`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from lib import seeds
from lib.errors import UserError
from lib.files import sha256_of
from lib.hub import HUB, resolved
from lib.strategy import load_class


class Outside:
    """Marks a setting as the path of a file or folder outside the store."""


DataFile = Annotated[str, Outside()]


class Unkeyed:
    """Marks a setting that no result depends on: an address, a number of workers, a time limit."""


def by_content(settings: Any) -> Any:
    """Settings with the digest of its content in the place of every data file's path, and without what is unkeyed, however deep.

    Raises UserError for a file that is not there.
    """
    if isinstance(settings, Mapping):
        found = {name: by_content(value) for name, value in settings.items()}
        if isinstance(settings.get("strategy"), str):
            fields = load_class(settings["strategy"]).model_fields
            for name, field in fields.items():
                if isinstance(found.get(name), str) and _is_marked(field, Outside):
                    found[name] = digest(found[name])
                elif _is_marked(field, Unkeyed):
                    found.pop(name, None)
        return found
    if isinstance(settings, list | tuple):
        return [by_content(value) for value in settings]
    return settings


def digest(path: str) -> str:
    """`sha256:` and the digest of a file, or of a folder's files with their names; a hub address at its commit."""
    if path.startswith(HUB):
        return str(resolved(path))
    place = Path(path).expanduser()
    if not place.exists():
        raise UserError(f"no file or folder '{path}'; give the path of the data")
    if place.is_file():
        return f"sha256:{_digest_of(place, place.stat().st_mtime_ns, place.stat().st_size)}"
    files = sorted(file for file in place.rglob("*") if file.is_file() and not file.name.startswith("."))
    listed = [[file.relative_to(place).as_posix(), _digest_of(file, file.stat().st_mtime_ns, file.stat().st_size)] for file in files]
    return f"sha256:{seeds.digest(listed)}"


def _is_marked(field: Any, kind: type) -> bool:
    inner = (getattr(argument, "__metadata__", ()) for argument in get_args(field.annotation))
    return any(isinstance(mark, kind) for mark in (*field.metadata, *(mark for marks in inner for mark in marks)))


@functools.lru_cache(maxsize=4096)
def _digest_of(file: Path, _changed_at: int, _size: int) -> str:
    return sha256_of(file)
