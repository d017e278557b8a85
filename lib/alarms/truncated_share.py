"""Truncated share: answers cut off at the token limit, which can be neither judged nor learned whole."""

from __future__ import annotations

from pydantic import Field

from lib.alarms.reading import ALARM, OK, WATCH, Reading, above, not_applicable, percent
from lib.alarms.seen import Seen
from lib.strategy import Settings


class TruncatedShare(Settings):
    """Share of validation completions that reached the token limit."""

    watch: float = Field(0.05, ge=0)
    """Our own choice: one in twenty."""
    alarm: float = Field(0.2, ge=0)
    """Our own choice: one in five, where figures say more of the limit than of the model."""

    def read(self, seen: Seen) -> Reading:
        if seen.drawn is None or not seen.drawn.completions:
            return not_applicable("there are no validation completions of this model")
        share = seen.drawn.truncated / seen.drawn.completions
        level = above(share, self.watch, self.alarm)
        meaning = {OK: "", WATCH: ": a higher max_new_tokens may pay", ALARM: ": raise max_new_tokens, or the model does not end"}[level]
        sentence = f"{seen.drawn.truncated:,} of {seen.drawn.completions:,} answers ({percent(share)}) were cut off at the limit{meaning}."
        return Reading(share, sentence, level, self.watch, self.alarm, seen.drawn.completions)
