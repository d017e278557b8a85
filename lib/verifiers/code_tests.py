"""What the `tests` column of a problem with code may hold, as JSON, in one of three forms.

    {"test": "def check(candidate): …", "entry_point": "f", "prompt": "def f(x): …"}      as HumanEval has it; no prompt, no context
    {"test_list": ["assert f(1) == 2", …], "test_setup_code": "", "entry_points": ["f"]}  as MBPP has it; the last two may be left out
    [{"stdin": "1 2\\n", "stdout": "3\\n"}, …]                                              whole programs

A `check` that the first form defines is called with the entry point, unless the tests call a function of theirs themselves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


class UnreadableTests(Exception):
    """The column holds something else."""


@dataclass(frozen=True, slots=True)
class UnitTests:
    """Code that raises nothing if the program is right."""

    source: str
    entry_points: tuple[str, ...]
    prompt: str


@dataclass(frozen=True, slots=True)
class Case:
    """One run of a whole program."""

    stdin: str
    stdout: str


def parse(text: str) -> UnitTests | tuple[Case, ...]:
    """The tests of a problem. Raises UnreadableTests."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableTests(f"not JSON ({error})") from None
    if isinstance(value, list) and value:
        return tuple(Case(_text(case, "stdin"), _text(case, "stdout")) for case in value)
    if isinstance(value, dict) and "test" in value:
        entry_point = _text(value, "entry_point")
        return UnitTests(_started(_text(value, "test"), entry_point), (entry_point,), _text(value, "prompt", ""))
    if isinstance(value, dict) and value.get("test_list"):
        lines = [_text(value, "test_setup_code", ""), *_texts(value, "test_list")]
        return UnitTests("\n".join(lines), tuple(_texts(value, "entry_points")), "")
    raise UnreadableTests("neither 'test', 'test_list' nor a list of cases")


def _started(test: str, entry_point: str) -> str:
    """Tests with the call that starts them, where they define `check` and call no function of theirs at the left edge."""
    lines = test.splitlines()
    defined = {line[4:].partition("(")[0].strip() for line in lines if line.startswith("def ")}
    called = {line.partition("(")[0].rstrip() for line in lines if "(" in line}
    return f"{test}\ncheck({entry_point})\n" if "check" in defined and not defined & called else test


def _text(value: Any, name: str, default: str | None = None) -> str:
    found = value.get(name, default) if isinstance(value, dict) else None
    if not isinstance(found, str):
        raise UnreadableTests(f"'{name}' is not text")
    return found


def _texts(value: dict[str, Any], name: str) -> list[str]:
    found = value.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise UnreadableTests(f"'{name}' is not a list of texts")
    return found
