"""Length drift: answers that grow or shrink without getting better are a sign that length itself is rewarded."""

from __future__ import annotations

from pydantic import Field

from lib.alarms.reading import ALARM, OK, WATCH, Reading, above, not_applicable
from lib.alarms.seen import Seen
from lib.strategy import Settings


class LengthDrift(Settings):
    """Mean tokens of validation completions over the base model's, as a factor of 1 or more, whichever way it went.

    Policy gradients with a per-sequence mean lengthen wrong answers (Liu et al. 2025, "Understanding R1-Zero-like training").
    """

    watch: float = Field(1.5, ge=1)
    """Our own choice: half as long again, or two thirds."""
    alarm: float = Field(2.0, ge=1)
    """Our own choice: twice as long, or half."""

    def read(self, seen: Seen) -> Reading:
        if seen.drawn is None or seen.drawn_base is None or not seen.drawn.mean_tokens or not seen.drawn_base.mean_tokens:
            return not_applicable("there are no validation completions of this model and the base model to measure")
        now, then = seen.drawn.mean_tokens, seen.drawn_base.mean_tokens
        factor = max(now / then, then / now)
        level = above(factor, self.watch, self.alarm)
        way = "longer" if now > then else "shorter"
        meaning = {OK: "", WATCH: f": clearly {way}", ALARM: f": far {way}"}[level]
        sentence = f"Answers have {now:.1f} tokens on average, the base model's {then:.1f}{meaning}."
        return Reading(factor, sentence, level, self.watch, self.alarm, seen.drawn.completions)
