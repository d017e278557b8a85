"""Cutting an answer into the steps that process models and judges speak of."""

from __future__ import annotations

MOST_STEPS = 256
"""Steps of an answer that are judged; one with more is undecided."""


def steps_of(text: str, separator: str) -> list[str]:
    """The pieces between separators that are not blank, without the white space at their ends."""
    return [piece.strip() for piece in text.split(separator) if piece.strip()]
