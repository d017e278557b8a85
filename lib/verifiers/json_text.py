"""A text as one JSON value (RFC 8259), read strictly.

The text is the last code fence marked `json`, if there is one, otherwise all of it, outer white space left aside. Refused
beyond what RFC 8259 refuses: a name twice in one object, a number that no float holds, more than 100 levels, 100,000
characters or 4,300 digits of a whole number.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

LONGEST = 100_000
"""Characters that are read; a longer text is wrong."""
DEEPEST = 100
"""Levels of lists and objects inside each other."""

_FENCE = re.compile(r"```[ \t]*(?:json|JSON)[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL)
_MARK = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|[\[\]{}]', re.DOTALL)


class Read(NamedTuple):
    """A value, or why there is none."""

    value: Any
    fault: str | None


def read(text: str) -> Read:
    """The JSON value that a text is. Never raises; linear in the length of the text."""
    if len(text) > LONGEST:
        return Read(None, f"longer than {LONGEST} characters")
    fences = _FENCE.findall(text)
    text = (fences[-1] if fences else text).strip()
    if _depth(text) > DEEPEST:
        return Read(None, f"deeper than {DEEPEST} levels")
    try:
        return Read(json.loads(text, object_pairs_hook=_object, parse_float=_float, parse_constant=_float), None)
    except json.JSONDecodeError as error:
        return Read(None, f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    except ValueError as error:
        return Read(None, f"not JSON: {str(error)[:100]}")


def _depth(text: str) -> int:
    depth = deepest = 0
    for mark in _MARK.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark[0], 0)
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"{twice[:50]!r} stands twice in one object")
    return found


def _float(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text[:50]} is no number that can be held")
    return float(text)
