"""One course of the learning rate over any number of rounds: up, down to a level that can be held, and down at the end (K.sched).

The "infinite" schedule of continual pre-training (Ibrahim et al., "Simple and Scalable Strategies to Continually Pre-train
Large Language Models", 2024): a linear warm-up to the highest rate, a cooldown to a constant one, any number of rounds at
it, and a final anneal. A trainer's own schedule starts again in every round; here each round gets the piece that is its own.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import Field, model_validator

from lib.deciding import Decided, Seen
from lib.errors import UserError
from lib.strategy import Strategy


class InfiniteRate(Strategy):
    """Decides on `learning_rate`, `warmup_share`, `schedule` and `min_lr_share` of the phase's trainer.

    The warm-up is a share of round 1. The cooldown is a half cosine over its rounds, and each of them is a straight line
    between its two ends, as the trainer knows them; the anneal is a straight line over the last rounds of the plan, and a
    campaign that goes on past its plan stays at its end. The optimizer's moments begin anew in each round.
    """

    highest: float = Field(1.5e-3, gt=0)
    """The rate after the warm-up."""
    constant: float = Field(5e-4, gt=0)
    """The rate that is held."""
    lowest: float = Field(5e-5, gt=0)
    """The rate that the anneal ends in."""
    warmup_share: float = Field(0.05, ge=0, lt=1)
    """Share of round 1 over which the rate rises."""
    cooldown_rounds: int = Field(1, ge=0)
    """Rounds, from the first on, over which it falls to the constant one."""
    anneal_rounds: int = Field(1, ge=0)
    """Rounds at the end of the plan over which it falls to the lowest."""
    trainer: str = "trainer"
    """Where the phase has its trainer: a path such as `stages.3.run.0`."""

    @model_validator(mode="after")
    def _falls(self) -> InfiniteRate:
        if not self.highest >= self.constant >= self.lowest:
            raise UserError("InfiniteRate: the rates must fall, highest >= constant >= lowest")
        return self

    @property
    def decides(self) -> tuple[dict[str, Any], ...]:
        return (self._settings(1, 1),)

    def decide(self, seen: Seen) -> Decided:
        return Decided({}, self._settings(seen.round, seen.rounds))

    def _settings(self, number: int, rounds: int) -> dict[str, Any]:
        begin, end = self._rate(number - 1, rounds), self._rate(number, rounds)
        values = {
            "learning_rate": begin,
            "warmup_share": self.warmup_share if number == 1 else 0.0,
            "schedule": "linear" if end < begin else "constant",
            "min_lr_share": end / begin,
        }
        return {f"{self.trainer}.{name}": value for name, value in values.items()}

    def _rate(self, done: int, rounds: int) -> float:
        """The rate once `done` rounds are over."""
        left = rounds - done
        if self.anneal_rounds and left < self.anneal_rounds:
            return self.constant + (self.lowest - self.constant) * min(1.0, (self.anneal_rounds - left) / self.anneal_rounds)
        if done < self.cooldown_rounds:
            return self.constant + (self.highest - self.constant) * (1 + math.cos(math.pi * done / self.cooldown_rounds)) / 2
        return self.constant
