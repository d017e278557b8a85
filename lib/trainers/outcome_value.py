"""An outcome value or reward model, or P(IK): learns what a whole row is worth (T.value), in our own loop.

With p = σ(logit) at the row's last token and z its target, a mean over rows:

    bce    -z log p - (1 - z) log(1 - p)      Cobbe et al. 2021; Kadavath et al. 2022, with z the sampled accuracy
    mse    (p - z)²
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from lib.protocols import Machine
from lib.trainers.rows import Ragged, refuse_none
from lib.trainers.valuing import Valuing, at_ends, refuse_no_shares


class OutcomeValue(Valuing):
    """Learns the value at the last token of every row."""

    learns_from: ClassVar[str] = "unpaired"

    loss: Literal["bce", "mse"] = "bce"
    """Which loss, as above."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the value model to `out`; figures: loss_first, loss_last, error_last, accuracy_last, steps, tokens_trained.

        The error is the mean of |p - z|, and right is what is on its target's side of 1/2. Raises UserError if there are no
        examples, if a target is no share, or if the loss stops being a number.
        """
        from lib.trainers.values import Pointwise

        refuse_none(examples, "OutcomeValue")
        refuse_no_shares(examples, "OutcomeValue")
        marked = at_ends(Ragged.of(examples["input_ids"]), examples["target"].to_numpy(), np.ones(examples.num_rows))
        return self.fit(models["start"], marked, Pointwise(self.loss), out, seed, machine)
