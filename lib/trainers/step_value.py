"""A process value or reward model: learns what each step of an answer is worth (T.value), in our own loop.

With p = σ(logit) at a step's last token and z its target, the weighted mean over steps:

    bce    -z log p - (1 - z) log(1 - p)      Lightman et al. 2023; Math-Shepherd, with z the share of rollouts that succeed
    mse    (p - z)²                           ReST-MCTS* (Zhang et al. 2024)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa

from lib.protocols import Machine
from lib.trainers.rows import refuse_none
from lib.trainers.valuing import Valuing, at_steps, refuse_no_shares


class StepValue(Valuing):
    """Learns the value at the end of every step; a batch is of texts, each with all of its steps."""

    learns_from: ClassVar[str] = "step"

    loss: Literal["bce", "mse"] = "bce"
    """Which loss, as above."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the value model to `out`; figures: loss_first, loss_last, error_last, accuracy_last, steps, tokens_trained.

        The error is the mean of |p - z|, and right is what is on its target's side of 1/2. Raises UserError if there are no
        examples, if a target is no share or a position is not in its row, or if the loss stops being a number.
        """
        from lib.trainers.values import Pointwise

        refuse_none(examples, "StepValue")
        refuse_no_shares(examples, "StepValue")
        return self.fit(models["start"], at_steps(examples), Pointwise(self.loss), out, seed, machine)
