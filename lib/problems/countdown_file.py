"""Countdown problems from a file, such as the 256 public tasks of d1 (Zhao et al. 2025) or TinyZero's.

Asked as text a problem reads `Numbers: [30, 100, 93]`, `Target: 23` and is answered by one expression of all the numbers.
Asked in steps it reads `30,93,100>23:`, as the generated set asks, so that a file can hold out problems for a model that
learnt on that one; steps stay at whole positive numbers, which some problems of a file may not allow.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

from lib import records
from lib.problems.files import FileProblems
from lib.raw_rows import BadRow, Raw
from lib.strategy import Strategy
from lib.verifiers.arithmetic import Puzzle
from lib.verifiers.countdown import Countdown

_QUESTION = re.compile(r"Numbers: \[([0-9, ]+)\]\s+Target: ([0-9]+)")


class CountdownFile(FileProblems):
    """Rows with input (`30,100,93`) and output (`23`), with nums or numbers (a list) and target, or with question (the text)."""

    task: ClassVar[str] = "countdown"

    asked: Literal["text", "steps"] = "text"
    """How the model is asked and answers: in words, by one expression; or as the generated set does, step by step."""

    def problem(self, raw: Raw) -> dict[str, Any]:
        puzzle = _puzzle(raw)
        listed = ", ".join(map(str, puzzle.numbers))
        prompt = f"Numbers: [{listed}]\nTarget: {puzzle.target}"
        steps = f"{','.join(map(str, sorted(puzzle.numbers)))}>{puzzle.target}:"
        return {
            "prompt": records.user_message(prompt if self.asked == "text" else steps),
            "tests": puzzle.as_tests() if self.asked == "text" else None,
            "source_id": f"{listed.replace(' ', '')}>{puzzle.target}",
            "category": f"{len(puzzle.numbers)} numbers",
            "difficulty": float(len(puzzle.numbers)),
        }

    def verifiers(self) -> tuple[Strategy, ...]:
        return (Countdown(),)


def _puzzle(raw: Raw) -> Puzzle:
    values = raw.values
    if "question" in values:
        match = _QUESTION.search(raw.text("question"))
        if match is None:
            raise BadRow("question", "does not read `Numbers: [1, 2]` and `Target: 3`")
        return Puzzle(_numbers(match[1].split(","), "question"), int(match[2]))
    if "input" in values:
        return Puzzle(_numbers(raw.text("input").split(","), "input"), *_numbers([raw.text("output")], "output"))
    field = "nums" if "nums" in values else "numbers"
    return Puzzle(_numbers(raw.items(field), field), *_numbers([raw.text("target")], "target"))


def _numbers(parts: list[Any], field: str) -> tuple[int, ...]:
    texts = [str(part).strip() for part in parts]
    if not texts or not all(text.isascii() and text.isdigit() and len(text) <= 6 for text in texts):
        raise BadRow(field, f"is not whole positive numbers: {', '.join(texts)[:60]!r}")
    return tuple(map(int, texts))
