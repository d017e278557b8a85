"""Supervised fine-tuning: (weighted) maximum likelihood of the labelled tokens (T.sft), in our own loop.

L = -Σ_i w_i Σ_j log π(y_ij | x_i, y_i<j) / Z + β KL. With n_i labelled tokens in row i of the global batch:

    tokens      Z = Σ_i n_i, whatever the weights: that of SFTTrainer
    weights     Z = Σ_i |w_i| n_i: only this one does not change when all weights are doubled
    rows        Z = the number of rows, so that long rows count more
    row_means   the same with a mean over each row's tokens: all rows count alike

w = 1: rejection-sampling fine-tuning, STaR, ReST-EM; other weights: reward-weighted regression. A negative weight lowers a
row's likelihood and has no lower bound. KL is the mean over labelled tokens of π_ref/π - log(π_ref/π) - 1 (k3), which keeps
the likelihood of what is learned near the reference's; these are no samples of π, so it is no estimate of KL(π ‖ π_ref).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from lib.protocols import Machine
from lib.trainers.known import reference_of
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Items, Sequences, refuse_none


class Sft(Optimisation):
    """Learns to write the labelled tokens of every example."""

    learns_from: ClassVar[str] = "sft"

    replay: tuple[str, ...] = ()
    """Models whose own examples are learned again beside the new ones; `base`: those of the warm start."""
    reduction: Literal["tokens", "weights", "rows", "row_means"] = "tokens"
    """What the sum of losses is divided by."""
    kl_coefficient: float = Field(0.0, ge=0)
    """Weight β of staying near the reference whose log-probabilities the examples hold."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: loss_first and loss_last, steps, tokens_trained, and kl_reference if it counts.

        Raises UserError if there are no examples, if they lack a reference that is needed, or if the loss stops being a number.
        """
        from lib.trainers.likelihoods import Likelihood
        from lib.trainers.loop import train_writer

        refuse_none(examples, "Sft")
        return train_writer(self, models["start"], self._items(examples), Likelihood(self.kl_coefficient), out, seed, machine)

    def _items(self, examples: pa.Table) -> Items:
        sequences = Sequences.of(examples)
        weight, tokens, ones = examples["weight"].to_numpy(), sequences.labelled, np.ones(examples.num_rows)
        part = {"tokens": tokens, "weights": np.abs(weight) * tokens, "rows": ones, "row_means": ones}[self.reduction]
        if self.reduction == "row_means":
            weight = weight / np.maximum(1, tokens)
        known = {"reference_logprobs": reference_of(examples, tokens, "Sft")} if self.kl_coefficient else {}
        return Items(sequences, {"weight": weight}, known, {"divisor": part, "labelled": tokens})
