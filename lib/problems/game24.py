"""The Game of 24, with the share of people who solved each puzzle: `24.csv` as published with Tree of Thoughts (Yao et al. 2023).

A puzzle is four numbers that make 24 with + - * /. Its difficulty is the share of people who failed at it, from 0 to 1. Its
id is its rank counted from 0, as the published samples count.
"""

from __future__ import annotations

from typing import Any, ClassVar

from lib import records
from lib.problems.files import FileProblems
from lib.raw_rows import BadRow, Raw
from lib.strategy import Strategy
from lib.verifiers import game24
from lib.verifiers.arithmetic import Puzzle

TARGET = 24


class Game24(FileProblems):
    """Rows with the columns Puzzles (`1 1 4 6`) and, where they are given, Rank and Solved rate (`99.20%`)."""

    task: ClassVar[str] = "game24"

    def problem(self, raw: Raw) -> dict[str, Any]:
        numbers = raw.text("Puzzles").split()
        if len(numbers) != 4 or not all(number.isascii() and number.isdigit() and len(number) < 4 for number in numbers):
            raise BadRow("Puzzles", "is not four whole numbers")
        rank = raw.values.get("Rank")
        return {
            "prompt": records.user_message(
                f"Make {TARGET} from the numbers {' '.join(numbers)}: use each exactly once, with + - * / and parentheses. "
                "End with a line `Answer: ` and the expression."
            ),
            "tests": Puzzle(tuple(map(int, numbers)), TARGET).as_tests(),
            "source_id": str(_whole(raw, "Rank") - 1) if rank is not None else None,
            "difficulty": _failed(raw) if raw.values.get("Solved rate") is not None else None,
        }

    def verifiers(self) -> tuple[Strategy, ...]:
        return (game24.Game24(),)


def _whole(raw: Raw, field: str) -> int:
    try:
        return int(raw.text(field))
    except ValueError:
        raise BadRow(field, f"is {raw.values[field]!r}, not a whole number") from None


def _failed(raw: Raw) -> float:
    solved = raw.text("Solved rate")
    try:
        share = float(solved.rstrip("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise BadRow("Solved rate", f"is {solved!r}, not a percentage")
    return round(1 - share, 6)
