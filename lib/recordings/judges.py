"""Verifiers from what a person types: the name of a module of lib/verifiers, and settings by `NAME.SETTING=VALUE`."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from lib import verifiers
from lib.errors import UnknownName, UserError
from lib.recipe import parsed
from lib.strategy import Strategy, in_module


def judges(names: Iterable[str], own: tuple[Strategy, ...], settings: Mapping[str, str]) -> tuple[Strategy, ...]:
    """The verifiers of these names, or `own` where there are none, with settings such as `answer.symbolic` changed.

    Raises UnknownName for a verifier or setting that does not exist, UserError for a value that does not fit.
    """
    chosen: list[tuple[str, type[Strategy], dict[str, Any]]] = [(name, _class(name), {}) for name in names]
    chosen = chosen or [(_name(one), type(one), one.model_dump(mode="json")) for one in own]
    for path in settings:
        if not path.partition(".")[2]:
            raise UserError(f"--set {path}: write it as VERIFIER.SETTING=VALUE, for instance answer.symbolic=false")
        if path.partition(".")[0] not in {name for name, _, _ in chosen}:
            raise UnknownName("verifier", path.partition(".")[0], {name for name, _, _ in chosen}, f"for --set {path}")
    return tuple(_made(name, kind, {**values, **_of(name, settings)}) for name, kind, values in chosen)


def names() -> list[str]:
    """Every verifier by name."""
    modules = (module.name for module in pkgutil.iter_modules(verifiers.__path__))
    return sorted(name for name in modules if in_module(f"lib.verifiers.{name}", "verify"))


def _made(name: str, kind: type[Strategy], values: Mapping[str, Any]) -> Strategy:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"setting {name}.{'.'.join(map(str, first['loc']))}: {first['msg']}; got {first.get('input')!r:.60}") from None


def _of(name: str, settings: Mapping[str, str]) -> dict[str, Any]:
    return {path.partition(".")[2]: parsed(value) for path, value in settings.items() if path.partition(".")[0] == name}


def _name(verifier: Strategy) -> str:
    return type(verifier).__module__.rpartition(".")[2]


def _class(name: str) -> type[Strategy]:
    found = in_module(f"lib.verifiers.{name}", "verify") if name.isidentifier() else None
    if found is None:
        raise UnknownName("verifier", name, names(), "in lib/verifiers")
    return found
