"""Python source files as syntax trees, and as modules."""

from __future__ import annotations

import ast
import gc
import importlib
from pathlib import Path
from types import ModuleType

_TRIES = 20


def parsed(file: Path) -> ast.Module:
    """The syntax tree of a file. Raises SyntaxError.

    CPython 3.11 counts the depth of a tree once for all threads, so that a thread of somebody else's which parses at the
    same moment makes it raise SystemError (python/cpython#106905); then it is tried again.
    """
    text = file.read_bytes()
    for _ in range(_TRIES - 1):
        try:
            return ast.parse(text)
        except SystemError:
            continue
    return ast.parse(text)


def imported(name: str) -> ModuleType:
    """Import a module, and collect no garbage meanwhile.

    Classes with settings read their docstrings out of their syntax trees. In CPython up to 3.11.7 a finalizer that is run in the
    middle of that lets another thread go on, and if that one parses too, the import ends with SystemError (python/cpython#106905).
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        if collects:
            gc.enable()
