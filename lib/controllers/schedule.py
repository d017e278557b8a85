"""Any number among a phase's settings, on a course over the rounds (K.sched).

With t = round - 1 and T rounds between the two ends, and t never past T:

    linear      a + (b - a) t / T
    cosine      b + (a - b) (1 + cos(π t / T)) / 2
    piecewise   straight lines between (round, value) points, level before the first and after the last
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal

from pydantic import Field, model_validator

from lib.deciding import Decided, Seen
from lib.errors import UserError
from lib.strategy import Strategy


class Schedule(Strategy):
    """Decides on one setting by the round's number alone; a campaign that goes past its plan stays at the end."""

    setting: str
    """The path in the phase, such as `sampler.temperature`."""
    course: Literal["linear", "cosine", "piecewise"] = "linear"
    """The formula, as above."""
    start: float = 1.0
    """a, in round 1."""
    end: float = 1.0
    """b."""
    over: int | None = Field(None, ge=1)
    """T; None: the rounds that the campaign planned when it began, less one."""
    points: tuple[tuple[int, float], ...] = ()
    """Of a piecewise course, by round."""
    whole: bool = False
    """Whether the value is rounded to a whole number, as a setting that counts needs."""

    @model_validator(mode="after")
    def _points_are_of_a_piecewise_course(self) -> Schedule:
        rounds = [number for number, _ in self.points]
        if bool(self.points) != (self.course == "piecewise") or rounds != sorted(set(rounds)):
            raise UserError("Schedule: a piecewise course, and no other, needs points of rising rounds, such as [[1, 1.0], [5, 0.2]]")
        return self

    @property
    def decides(self) -> tuple[dict[str, Any], ...]:
        return ({self.setting: self._at(1, 1)},)

    def decide(self, seen: Seen) -> Decided:
        return Decided({}, {self.setting: self._at(seen.round, seen.rounds)})

    def _at(self, number: int, rounds: int) -> float | int:
        value = self._between(number) if self.points else self._along(number - 1, self.over or max(1, rounds - 1))
        return round(value) if self.whole else value

    def _along(self, t: int, total: int) -> float:
        share = min(t / total, 1.0)
        if self.course == "linear":
            return self.start + (self.end - self.start) * share
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * share)) / 2

    def _between(self, number: int) -> float:
        if number <= self.points[0][0]:
            return self.points[0][1]
        for (begin, a), (end, b) in itertools.pairwise(self.points):
            if number <= end:
                return a + (b - a) * (number - begin) / (end - begin)
        return self.points[-1][1]
