"""Verifier precision on a gold slice: of what the deciding verifier calls correct, how much a gold verifier does too."""

from __future__ import annotations

from pydantic import Field

from lib.agreement import share as share_of
from lib.alarms.reading import ALARM, OK, WATCH, Reading, below, not_applicable, percent
from lib.alarms.seen import Seen
from lib.strategy import Settings


class GoldPrecision(Settings):
    """The lowest precision of a verifier of the round, with the gold one of its stage as the truth.

    Rule-based verifiers of mathematics have a precision of about 0.99, and models that are trained against weaker judges
    learn to fool them (Huang et al. 2025, "From accuracy to robustness: a study of rule- and model-based verifiers").
    """

    watch: float = Field(0.95, ge=0, le=1)
    """Our own choice: one kept example in twenty is wrong."""
    alarm: float = Field(0.9, ge=0, le=1)
    """Our own choice: one in ten."""

    def read(self, seen: Seen) -> Reading:
        said = [gold for gold in seen.gold if gold.said]
        if not said:
            return not_applicable("no gold verifier stands beside the one that decides")
        worst = min(said, key=lambda gold: (gold.both / gold.said, gold.verifier))
        precision = worst.both / worst.said
        low, high = share_of(worst.both, worst.said).interval
        level = below(precision, self.watch, self.alarm)
        meaning = {OK: "", WATCH: ": some of what is learned is wrong", ALARM: ": the model may be learning to fool it"}[level]
        sentence = (
            f"Of {worst.said:,} answers that {worst.verifier} calls correct, {worst.gold} agrees with {percent(precision)} "
            f"(95 % interval {percent(low)} to {percent(high)}){meaning}."
        )
        return Reading(precision, sentence, level, self.watch, self.alarm, worst.said)
