"""Undecided share: verdicts that were neither correct nor wrong. What a verifier cannot judge is not learned from, in silence."""

from __future__ import annotations

from pydantic import Field

from lib.alarms.reading import ALARM, OK, WATCH, Reading, above, not_applicable, percent
from lib.alarms.seen import Seen
from lib.statistics import wilson
from lib.strategy import Settings


class UndecidedShare(Settings):
    """Share of the outcomes of the round's verify stages that are undecided (a timeout, a crash, an unreadable gold answer).

    It rings once the lower end of the share's 95 % interval passes a threshold: one timeout among a hundred proves nothing.
    """

    watch: float = Field(0.01, ge=0)
    """A fifth of the limit past which a stage fails unless told otherwise (`undecided_limit` 0.05, lib.undecided)."""
    alarm: float = Field(0.025, ge=0)
    """Half of that limit."""

    def read(self, seen: Seen) -> Reading:
        if seen.undecided is None or not seen.undecided.of:
            return not_applicable("no verifier of the round gives outcomes")
        share = seen.undecided.share
        level = above(wilson(seen.undecided.found, seen.undecided.of).low, self.watch, self.alarm)
        meaning = {OK: "", WATCH: ": look at their reasons", ALARM: ": the verifier fails on part of what it is given"}[level]
        sentence = f"{seen.undecided.found:,} of {seen.undecided.of:,} verdicts ({percent(share, 2)}) are undecided{meaning}."
        return Reading(share, sentence, level, self.watch, self.alarm, seen.undecided.of)
