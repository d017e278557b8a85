"""Python source files as syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path

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
