"""A problem set from what a person types: `NAME:PATH`, `NAME` for a generated set, or the path of a file of your own."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib import problems
from lib.errors import UnknownName, UserError
from lib.hub import HUB
from lib.raw_rows import SUFFIXES
from lib.recipe import parsed
from lib.strategy import Strategy, in_module


def named(spec: str, settings: Mapping[str, str] | None = None) -> Strategy:
    """The set that `spec` names, with its settings as they are typed (`prompt=question`).

    `gsm8k:data/gsm8k` reads a folder, `hf:OWNER/NAME` and `mine.jsonl` are tables, `gsm8k:hf:OWNER/NAME@REVISION` reads the
    hub, `countdown` needs no path. Raises UnknownName for another set or setting, UserError for a path too few or too many.
    """
    values: dict[str, Any] = {name: parsed(value) for name, value in (settings or {}).items()}
    name, path = _parts(spec)
    found = _class(name)
    if path is not None:
        if "path" not in found.model_fields:
            raise UserError(f"problem set '{name}' is generated and reads no file; leave out ':{path}'")
        values["path"] = path
    elif "path" in found.model_fields and "path" not in values:
        raise UserError(f"problem set '{name}' needs its data; give a file or folder: {name}:PATH")
    return found.model_validate(values)


def whole(spec: str) -> str:
    """The same spec with an absolute path, so that it means the same from every folder."""
    name, path = _parts(spec)
    return name if path is None else f"{name}:{path}"


def names() -> list[str]:
    """Every problem set by name."""
    modules = (module.name for module in pkgutil.iter_modules(problems.__path__))
    return sorted(name for name in modules if in_module(f"lib.problems.{name}", "verifiers"))


def _parts(spec: str) -> tuple[str, str | None]:
    name, colon, path = spec.partition(":")
    if spec.startswith(HUB) or (not colon and (spec.endswith((*SUFFIXES, ".gz")))):
        name, path, colon = "table", spec, ":"
    if not colon:
        return name, None
    return name, path if path.startswith(HUB) else str(Path(path).expanduser().resolve())


def _class(name: str) -> type[Strategy]:
    found = in_module(f"lib.problems.{name}", "verifiers") if name.isidentifier() else None
    if found is None:
        if Path(name).exists():
            raise UserError(f"{name} is no file of problems: these end in {', '.join(SUFFIXES)}, or in one of them and .gz; convert it")
        raise UnknownName("problem set", name, names(), "in lib/problems; for a file of your own give its path")
    return found
