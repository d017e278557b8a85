"""MATH (Hendrycks et al. 2021) and its held-out 500 (Lightman et al. 2023): competition mathematics with an answer in LaTeX."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from lib import records
from lib.problems.files import FileProblems
from lib.raw_rows import BadRow, Raw
from lib.strategy import Strategy
from lib.verifiers.answer import Answer
from lib.verifiers.final_answer import marked, normalised

_LEVEL = re.compile(r"(?:Level )?([0-9]+)")


class Math500(FileProblems):
    """Rows with the fields problem and answer, as published at HuggingFaceH4/MATH-500, or with problem and a solution whose
    last box is the answer, as in MATH itself; subject or type, level and unique_id where they are given."""

    task: ClassVar[str] = "math500"

    def problem(self, raw: Raw) -> dict[str, Any]:
        answer = raw.text("answer") if raw.values.get("answer") is not None else _boxed(raw.text("solution"))
        if normalised(answer) is None:
            raise BadRow("answer", "is empty or too long for a final answer")
        level = _LEVEL.fullmatch(str(raw.values.get("level")))
        return {
            "prompt": records.user_message(raw.text("problem")),
            "answer": answer,
            "source_id": _named(raw, "unique_id"),
            "category": _named(raw, "subject") or _named(raw, "type"),
            "difficulty": float(level[1]) if level else None,
        }

    def verifiers(self) -> tuple[Strategy, ...]:
        return (Answer(),)


def _boxed(solution: str) -> str:
    span = marked(solution)
    if span is None or span.mark != "box":
        raise BadRow("solution", r"has no \boxed{…}")
    return span.text


def _named(raw: Raw, field: str) -> str | None:
    value = raw.values.get(field)
    return str(value) if value is not None and str(value).strip() else None
