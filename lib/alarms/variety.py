"""Distinct correct answers per problem: a model that always gives the same right answer has little left to learn from."""

from __future__ import annotations

from pydantic import Field

from lib.alarms.reading import ALARM, OK, WATCH, Reading, below, not_applicable, percent
from lib.alarms.seen import Seen
from lib.strategy import Settings


class Variety(Settings):
    """Distinct correct answers per validation problem, as a share of the base model's.

    Texts count as the same where they differ in white space alone (lib.evaluators.tally). Number of unique correct
    answers as a sign of lost exploration: Zeng et al. 2024, "B-STaR".
    """

    watch: float = Field(0.9, ge=0)
    """Our own choice: a tenth lost is more than validation splits of a few hundred problems move by chance."""
    alarm: float = Field(0.75, ge=0)
    """Our own choice: a quarter lost."""

    def read(self, seen: Seen) -> Reading:
        now, then = seen.figures.get("distinct_correct"), seen.base.get("distinct_correct")
        if now is None or then is None:
            return not_applicable("no evaluator counts distinct correct answers")
        if not then:
            return not_applicable("the base model gave no correct answer to compare with")
        share = now / then
        level = below(share, self.watch, self.alarm)
        meaning = {OK: "", WATCH: ": answers grow alike", ALARM: ": answers have collapsed onto few"}[level]
        change = seen.changes.get("distinct_correct")
        sentence = f"{now:.2f} distinct correct answers per problem, {percent(share, 0)} of the base model's {then:.2f}{meaning}."
        return Reading(share, sentence, level, self.watch, self.alarm, change.n if change else 0)
