"""Entropy: a policy whose entropy is gone draws the same answer again and again, and explores no more."""

from __future__ import annotations

from pydantic import Field

from lib.alarms.reading import ALARM, OK, WATCH, Reading, below, not_applicable, percent
from lib.alarms.seen import Seen
from lib.strategy import Settings


class Entropy(Settings):
    """Mean entropy per token of validation completions, as a share of the base model's.

    Entropy spent buys reward up to a ceiling and is gone early (Cui et al. 2025, "The entropy mechanism of reinforcement
    learning for reasoning language models").
    """

    watch: float = Field(0.5, ge=0)
    """Our own choice: half is spent."""
    alarm: float = Field(0.2, ge=0)
    """Our own choice: four fifths are spent."""

    def read(self, seen: Seen) -> Reading:
        now = seen.drawn.entropy if seen.drawn else None
        then = seen.drawn_base.entropy if seen.drawn_base else None
        if seen.drawn is None or now is None or not then:
            return not_applicable("the engine tells no entropies, or nothing was drawn on validation")
        share = now / then
        level = below(share, self.watch, self.alarm)
        meaning = {OK: "", WATCH: ": exploration shrinks", ALARM: ": entropy has collapsed"}[level]
        sentence = f"{now:.3f} nats per token, {percent(share, 0)} of the base model's {then:.3f}{meaning}."
        return Reading(share, sentence, level, self.watch, self.alarm, seen.drawn.completions)
