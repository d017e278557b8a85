"""Kept share: what of the sampled completions became examples. Near none, the round learns from luck."""

from __future__ import annotations

from pydantic import Field

from lib.alarms.reading import ALARM, OK, WATCH, Reading, below, not_applicable, percent
from lib.alarms.seen import Seen
from lib.strategy import Settings


class KeptShare(Settings):
    """Share of the completions given to filters that ended in some example."""

    watch: float = Field(0.05, ge=0)
    """Our own choice: twenty completions sampled for one learned from."""
    alarm: float = Field(0.01, ge=0)
    """Our own choice: a hundred, where a verifier's rare mistakes become a large part of what is kept."""

    def read(self, seen: Seen) -> Reading:
        if seen.kept is None or not seen.kept.of:
            return not_applicable("the round filtered no completions")
        share = seen.kept.share
        level = below(share, self.watch, self.alarm)
        meaning = {OK: "", WATCH: ": little is left to learn from", ALARM: ": next to nothing is left to learn from"}[level]
        sentence = f"{seen.kept.found:,} of {seen.kept.of:,} completions ({percent(share)}) became examples{meaning}."
        return Reading(share, sentence, level, self.watch, self.alarm, seen.kept.of)
