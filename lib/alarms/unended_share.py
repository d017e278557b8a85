"""Unended share: answers whose last token is no end of text. A model that unlearns to stop shows here first."""

from __future__ import annotations

from pydantic import Field

from lib.alarms.reading import ALARM, OK, WATCH, Reading, above, not_applicable, percent
from lib.alarms.seen import Seen
from lib.strategy import Settings


class UnendedShare(Settings):
    """Share of validation completions without an end-of-text token at their end, by how much it grew since the base model.

    Loss falls while a template or label mistake teaches a model never to stop, and only sampling shows it.
    """

    watch: float = Field(0.02, ge=0)
    """Our own choice: one answer in fifty more than at the start."""
    alarm: float = Field(0.1, ge=0)
    """Our own choice: one in ten more."""

    def read(self, seen: Seen) -> Reading:
        if seen.drawn is None or seen.drawn.unended is None or not seen.drawn.completions:
            return not_applicable("the engine gives text only, or a stop string may end an answer")
        share = seen.drawn.unended / seen.drawn.completions
        before = seen.drawn_base
        then = before.unended / before.completions if before and before.unended is not None and before.completions else 0.0
        grown = max(0.0, share - then)
        level = above(grown, self.watch, self.alarm)
        meaning = {OK: "", WATCH: ": more than at the start", ALARM: ": the model unlearns to stop"}[level]
        sentence = f"{percent(share)} of the answers have no end-of-text token, {percent(then)} of the base model's{meaning}."
        return Reading(grown, sentence, level, self.watch, self.alarm, seen.drawn.completions)
