"""What every trainer by gradient shares: how fast, how long, from which model. AdamW on whole batches of a fixed size.

Weights and optimizer state are float32 whatever `dtype` is; that is the precision of the forward and backward passes.
Not covered: adapters, and recomputing activations to save memory (a smaller micro-batch does that).

Over rounds a learning rate is composed of phases, each round's settings giving one: where it starts, what it reaches after
its warm-up, where it ends, all as shares of learning_rate. A round goes on where the last one ended if its start_share and
peak_share are the share there. An infinite schedule:

    warm up     warmup_share=0.1, schedule="constant"
    cool down   warmup_share=0, schedule="cosine", min_lr_share=0.3
    hold        warmup_share=0, schedule="constant", peak_share=0.3, in as many rounds as wanted
    anneal      warmup_share=0, schedule="linear", peak_share=0.3, min_lr_share=0

AdamW's moments begin anew in every round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from lib.errors import UserError
from lib.strategy import Strategy
from lib.trainers import batches
from lib.trainers.rows import Rows


class Optimisation(Strategy):
    """The settings that all trainers have in common."""

    learning_rate: float = Field(1.5e-3, gt=0)
    """The highest; shares of it are reached as the schedule says."""
    batch_size: int = Field(64, ge=1)
    """Examples per step, however many a machine holds at once; all of them where there are fewer."""
    steps: int | None = Field(700, ge=1)
    """How long to train; None where `epochs` says so."""
    epochs: float | None = Field(None, gt=0)
    """Passes over the examples, instead of `steps`."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay of AdamW's two moments."""
    weight_decay: float = 0.05
    """Pull towards zero, on matrices alone: norms and biases have none."""
    warmup_share: float = Field(0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate goes from start_share to peak_share."""
    start_share: float = Field(0.0, ge=0, le=1)
    """Where the warm-up begins, as a share of learning_rate."""
    peak_share: float = Field(1.0, gt=0, le=1)
    """What the warm-up reaches, as a share of learning_rate; without one, where the schedule begins."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate goes on after the warm-up."""
    min_lr_share: float = Field(0.1, ge=0, le=1)
    """Where a learning rate that is not constant ends, as a share of learning_rate."""
    clip_norm: float = Field(1.0, gt=0)
    """The largest length of a gradient; longer ones are scaled down to it."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the forward and backward passes."""
    dropout: bool = True
    """Whether a model that drops out does so while it learns."""
    start_from: str = "previous"
    """The model to train: base, previous, champion, round:N (base until round N has ended), phase:NAME or external:PATH."""

    @model_validator(mode="before")
    @classmethod
    def _epochs_replace_the_default_steps(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("epochs") is not None and "steps" not in values:
            return {**values, "steps": None}
        return values

    @model_validator(mode="after")
    def _one_length(self) -> Optimisation:
        if (self.steps is None) == (self.epochs is None):
            raise UserError(f"{type(self).__name__} has steps={self.steps} and epochs={self.epochs}; set exactly one of them")
        return self

    def steps_over(self, rows: int) -> int:
        """How many steps to take: `steps`, or enough to see every one of the rows `epochs` times."""
        if self.epochs is None:
            return self.steps or 0
        return math.ceil(self.epochs * rows / min(self.batch_size, rows))

    def order(self, items: int, seed: int) -> Rows:
        """Which of that many items each step sees: (steps, batch)."""
        return batches.order(items, self.batch_size, self.steps_over(items), seed)

    def share_at(self, step: int, total: int) -> float:
        """The learning rate of a step (from 0 to total - 1) as a share of learning_rate.

        s + (p - s)(step + 1) / w over the w steps of the warm-up, from the start s to the peak p; then m + (p - m) f(u) with m
        the least share, u going from 0 to 1 at the last step, and f(u) = (1 + cos πu) / 2, or 1 - u, or 1.
        """
        warmup = math.ceil(self.warmup_share * total)
        if step < warmup:
            return self.start_share + (self.peak_share - self.start_share) * (step + 1) / warmup
        u = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
        left = {"cosine": (1 + math.cos(math.pi * u)) / 2, "linear": 1 - u, "constant": 1.0}[self.schedule]
        return self.min_lr_share + (self.peak_share - self.min_lr_share) * left
