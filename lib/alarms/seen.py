"""What a round leaves for its alarms to look at, in figures; lib.alarms.looking gathers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Part(NamedTuple):
    """So many of so many."""

    found: int
    of: int

    @property
    def share(self) -> float:
        return self.found / self.of


class Change(NamedTuple):
    """The mean paired difference between this round's model and the base model, over the problems that both have."""

    mean: float
    stderr: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """Completions that a model wrote, taken together."""

    completions: int
    truncated: int
    """Cut off at the token limit."""
    unended: int | None
    """Without an end-of-text token as their last; None where only their text is known, or where a stop string may end them."""
    mean_tokens: float
    entropy: float | None
    """Mean over completions, in nats per token at temperature 1; None where the engine does not tell."""


@dataclass(frozen=True, slots=True)
class Gold:
    """How a verifier stands to the gold one: `both` say correct, of what it `said` is correct where gold is decided."""

    verifier: str
    gold: str
    both: int
    said: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """Examples that a trainer read, and those of them whose problem stands in a held-out split."""

    met: int
    learned: int
    kept_out: int
    """Completions that the guard of held-out problems dropped in this round."""
    held_out: int
    """Problems of all held-out splits."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One round. Validation figures are those of its policy; whatever a round has not is None or empty."""

    figures: Mapping[str, float] = field(default_factory=dict)
    """Metric → value on validation."""
    base: Mapping[str, float] = field(default_factory=dict)
    """The same of the base model."""
    changes: Mapping[str, Change] = field(default_factory=dict)
    """Metric → change on validation since the base model."""
    drawn: Drawn | None = None
    """What the round's model wrote on validation."""
    drawn_base: Drawn | None = None
    """What the base model wrote on validation."""
    kept: Part | None = None
    """Completions in some example, of those that filters were given."""
    undecided: Part | None = None
    """Undecided verdicts, of all outcomes that the round's verifiers gave."""
    gold: tuple[Gold, ...] = ()
    overlap: Overlap | None = None
