"""What counts as one answer where completions vote or differ: the final answer by its value, or the whole text."""

from __future__ import annotations

from typing import Literal

from lib.evaluators.judged import Judged
from lib.verifiers.exact_number import exact
from lib.verifiers.final_answer import last_number, marked, normalised

Told = Literal["final", "text"]
"""By what answers are told apart."""


def answer_of(row: Judged, told: Told) -> str | None:
    """A completion's answer, equal texts being one answer; None where it has no readable one.

    A final answer is found as lib.verifiers.answer finds it; numbers are equal by value (`1/2` and `0.5`), all else as text:
    what only Math-Verify knows to be equal counts as different here.
    """
    if told == "text":
        return row.plain or None
    span = marked(row.text)
    if span is None and row.finish_reason != "length":
        span = last_number(row.text)
    plain = normalised(span.text) if span is not None else None
    number = exact(plain) if plain is not None else None
    return plain if number is None else f"{number.value} {number.unit}".strip()
