"""Files of the user's that a strategy reads: named by path in its settings, by their content in every key.

    class Gsm8k(Strategy):
        path: DataFile
        databases: DataFile | None = None

A path that begins with `hf:` names a dataset on the hub and stands for itself; its revision is part of it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from lib import seeds
from lib.errors import UserError
from lib.files import sha256_of
from lib.strategy import load_class

HUB = "hf:"


class Outside:
    """Marks a setting as the path of a file or folder outside the store."""


DataFile = Annotated[str, Outside()]


def by_content(settings: Any) -> Any:
    """Settings with the digest of its content in the place of every data file's path, however deep.

    Raises UserError for a file that is not there.
    """
    if isinstance(settings, Mapping):
        found = {name: by_content(value) for name, value in settings.items()}
        if isinstance(settings.get("strategy"), str):
            fields = load_class(settings["strategy"]).model_fields
            for name, field in fields.items():
                if isinstance(found.get(name), str) and _is_data_file(field):
                    found[name] = digest(found[name])
        return found
    if isinstance(settings, list | tuple):
        return [by_content(value) for value in settings]
    return settings


def digest(path: str) -> str:
    """`sha256:` and the digest of a file, or of a folder's files with their names; a hub address stands for itself."""
    if path.startswith(HUB):
        return path
    place = Path(path).expanduser()
    if not place.exists():
        raise UserError(f"no file or folder '{path}'; give the path of the data")
    if place.is_file():
        return f"sha256:{_digest_of(place, place.stat().st_mtime_ns, place.stat().st_size)}"
    files = sorted(file for file in place.rglob("*") if file.is_file() and not file.name.startswith("."))
    listed = [[file.relative_to(place).as_posix(), _digest_of(file, file.stat().st_mtime_ns, file.stat().st_size)] for file in files]
    return f"sha256:{seeds.digest(listed)}"


def _is_data_file(field: Any) -> bool:
    inner = (getattr(argument, "__metadata__", ()) for argument in get_args(field.annotation))
    return any(isinstance(mark, Outside) for mark in (*field.metadata, *(mark for marks in inner for mark in marks)))


@functools.lru_cache(maxsize=4096)
def _digest_of(file: Path, _changed_at: int, _size: int) -> str:
    return sha256_of(file)
