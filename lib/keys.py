"""Content keys: everything a stage's result depends on, and nothing else.

A key is the sha256 of its ingredients' canonical JSON:

    kind       the stage's verb
    settings   the JSON of its strategies, engine settings and dtype among them
    inputs     name → content digests of the tables it reads
    models     role → digests of weights, tokenizer, chat template and configuration
    code       module of ours → sha256 of its source, for every module reached from the stage function and the strategies
    versions   distribution → version, for every distribution that this code imports, and Python's own (3.11)
    seed       the stage's seed

Device, micro-batch, worker counts, campaign names and paths are not in it.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.errors import UserError
from lib.files import sha256_of
from lib.seeds import digest
from lib.source import parsed
from lib.strategy import UserCode

_LIB = Path(__file__).parent

CARRIED = {
    "transformers": ("tokenizers", "safetensors", "numpy"),
    "trl": ("accelerate", "transformers", "torch"),
    "peft": ("transformers", "torch"),
}
"""Distributions whose results are made by others that our own code may not import by name."""


def key_of(ingredients: Mapping[str, Any]) -> str:
    """The content key of a set of ingredients: 64 hex digits."""
    return digest(dict(ingredients))


def ingredients_of(
    kind: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Any],
    models: Mapping[str, Mapping[str, str]],
    seed: int,
) -> dict[str, Any]:
    """The ingredients of a stage's key; the code is found from the stage function and from every strategy in the settings."""
    roots = {f"lib.stages.{kind}", *strategy_modules(settings)}
    code, versions = closure(roots)
    return {
        "kind": kind,
        "settings": dict(settings),
        "inputs": dict(inputs),
        "models": {role: dict(parts) for role, parts in models.items()},
        "code": code,
        "versions": versions,
        "seed": seed,
    }


PARTS = {"weights": "weights", "tokenizer": "tokenizer", "chat_template": "chat template", "config": "configuration"}
"""Part of a model's identity → what people call it."""

SPOKEN_CHANGES = 4
"""How many changes `in_words` names."""

SPOKEN_CHARACTERS = 60
"""How much of a setting's value a change quotes."""


def changed(old: Mapping[str, Any], new: Mapping[str, Any], makers: Mapping[str, str] | None = None) -> list[str]:
    """What differs between two sets of ingredients, in words: `setting sampler.n: 8 → 16`, `code of lib.samplers.rows`.

    `makers` says which stage made an input, by its content digest: `input completions, made by main/sample`.
    """
    found: list[str] = []
    for part in ("kind", "settings", "inputs", "models", "code", "versions", "seed"):
        before, after = dict(leaves(old.get(part))), dict(leaves(new.get(part)))
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                found.append(_difference(part, name, before.get(name), after.get(name), makers or {}))
    return found


def in_words(changes: Sequence[str]) -> str:
    """Changes as one line, the first few of them by name."""
    more = len(changes) - SPOKEN_CHANGES
    return "; ".join([*changes[:SPOKEN_CHANGES], *([f"and {more} more"] if more > 0 else [])])


def strategy_modules(settings: Any) -> Iterator[str]:
    """The module of every strategy named anywhere in a settings value."""
    if isinstance(settings, Mapping):
        if isinstance(settings.get("strategy"), str):
            yield settings["strategy"].partition(":")[0]
        for value in settings.values():
            yield from strategy_modules(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from strategy_modules(value)


def closure(roots: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Modules of ours reached from `roots` with their source digests, and the distributions they import with versions."""
    code: dict[str, str] = {}
    outside: set[str] = set()
    waiting = sorted(set(roots))
    while waiting:
        name = waiting.pop()
        if name in code:
            continue
        file = _file_of(name)
        if file is None:
            raise UserError(f"module {name} has no source file to put into the content key")
        code[name] = sha256_of(file)
        for imported in _imports(file, name, file.stat().st_mtime_ns):
            if _is_ours(imported):
                waiting.append(imported)
            else:
                outside.add(imported.partition(".")[0])
    return dict(sorted(code.items())), _versions(outside)


def _is_ours(module: str) -> bool:
    top = module.partition(".")[0]
    return top == "lib" or UserCode.file_of(top) is not None


def _file_of(module: str) -> Path | None:
    """A module's source, found by its path: asking Python for it would import the packages that hold it."""
    top, *inner = module.split(".")
    if top != "lib":
        return UserCode.file_of(module)
    place = _LIB.joinpath(*inner)
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)


@functools.lru_cache(maxsize=4096)
def _imports(file: Path, module: str, _changed_at: int) -> tuple[str, ...]:
    """Every module that a source file imports, at its top or nested in functions, with the packages that hold them."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names if _file_of(f"{base}.{alias.name}"))
    for name in list(found):
        found.update(name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1))
    return tuple(sorted(name for name in found if name))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1])
    return f"{base}.{node.module}" if node.module else base


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@functools.cache
def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions(tops: set[str]) -> dict[str, str]:
    names = {d for top in tops - set(sys.stdlib_module_names) for d in _distributions().get(top, [])}
    names |= {carried for name in list(names) for carried in CARRIED.get(name, ())}
    found = {name.lower(): _version(name) for name in names}
    found["python"] = f"{sys.version_info.major}.{sys.version_info.minor}"  # what a program does depends on it
    return {name: version for name, version in sorted(found.items()) if version is not None}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested settings, each with its dotted path; a list without settings in it is one value."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{index}" if path else str(index))
    else:
        yield path, value


def _difference(part: str, name: str, before: Any, after: Any, makers: Mapping[str, str]) -> str:
    if part == "code":
        return f"code of {name}" if before and after else f"code {'reached' if after else 'no longer reached'}: {name}"
    if part == "versions":
        return f"version of {name}: {_spoken(before)} → {_spoken(after)}"
    if part == "inputs":
        return _input(name, before or [], after or [], makers)
    if part == "models":
        role, _, piece = name.rpartition(".")
        return f"{PARTS.get(piece, piece)} of {role or 'the model'}"
    if part == "seed":
        return "seed"
    return f"{'setting ' + name if name else part}: {_spoken(before)} → {_spoken(after)}"


def _input(name: str, before: Sequence[str], after: Sequence[str], makers: Mapping[str, str]) -> str:
    new = [content for content in after if content not in before]
    if not new:
        return f"input {name}: {len(before)} → {len(after)} tables" if len(before) != len(after) else f"input {name}: another order"
    known = list(dict.fromkeys(makers[content] for content in new if content in makers))
    return f"input {name}" + (f", made by {' and '.join(known)}" if known else "")


def _spoken(value: Any) -> str:
    """A value as a line has room for it: digests by their beginning, long texts cut."""
    if value is None:
        return "none"
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value):
        return value[:12]
    text = repr(value)
    return text if len(text) <= SPOKEN_CHARACTERS else f"{text[:SPOKEN_CHARACTERS]}…"
