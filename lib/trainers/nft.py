"""Negative-aware fine-tuning (NFT, Chen et al. 2025; T.nft): learns from wrong completions too, by likelihood alone.

With r the group's share of correct, clamped to [least_rate, 1 - least_rate], and R = π / π_old of each token:

    correct   -log R
    wrong     -log max((1 - r R) / (1 - r), floor)     the value is clamped, the gradient is that of the argument
    L = Σ ω [correct · pos + wrong · neg_weight · neg] / Z,     ω = 1 - r, or sqrt((1 - r) / r)

Where R = 1, its gradient is the policy gradient with the advantage r_i - mean (Dr.GRPO), or with the square root that over the
population deviation (GRPO). Formulas, clamps and the floor of 1 are those of the authors' code and scripts (NVlabs/NFT), whose Z
is a constant. What is not decided is in no group, so it is never taken for wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from lib.errors import UserError
from lib.protocols import Machine
from lib.trainers.known import old_of, weight_of
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Items, Sequences, refuse_none


class Nft(Optimisation):
    """Raises the probability of correct completions and lowers that of wrong ones, more where a problem is hard."""

    learns_from: ClassVar[str] = "group"

    learning_rate: float = Field(5e-4, gt=0)
    """The highest; shares of it are reached as the schedule says."""
    batch_size: int = Field(512, ge=1)
    """Completions per step, of several groups; all of them where there are fewer."""
    steps: int | None = Field(25, ge=1)
    """How long to train; None where `epochs` says so."""
    dropout: bool = False
    """Whether a model that drops out does so while it learns; the one that sampled did not."""
    omega: Literal["linear", "sqrt"] = "linear"
    """How much a problem counts: 1 - r, or sqrt((1 - r) / r)."""
    neg_weight: float = Field(1.0, ge=0)
    """Weight of the wrong completions; 0 is rejection-sampling fine-tuning."""
    least_rate: float = Field(0.02, gt=0, lt=0.5)
    """How near to 0 and 1 the share of correct is taken to be at most."""
    floor: float = Field(1.0, gt=0)
    """The least argument of a wrong completion's logarithm."""
    reduction: Literal["tokens", "rows", "row_means"] = "tokens"
    """Z: the labelled tokens of the batch, or its rows, or its rows with a mean over each one's tokens."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: loss_first, loss_last, clip_share, kl_old, entropy, steps, tokens_trained.

        Raises UserError if there are no examples, if one does not say whether it is correct, or if the loss stops being a number.
        """
        from lib.trainers.loop import train_writer
        from lib.trainers.policy_gradients import NegativeAware

        refuse_none(examples, "Nft")
        if missing := examples["correct"].null_count:
            raise UserError(
                f"Nft needs to know what is correct, and {missing} of {examples.num_rows} examples do not say; "
                "add a verifier with an outcome to the verify stage"
            )
        sequences = Sequences.of(examples)
        rate = np.clip(examples["pass_rate"].to_numpy(), self.least_rate, 1 - self.least_rate)
        correct = examples["correct"].to_numpy().astype(np.float64)
        ones, tokens = np.ones(examples.num_rows), sequences.labelled
        items = Items(
            sequences,
            {"weight": self._weights(rate, correct, tokens) * weight_of(examples), "pass_rate": rate, "correct": correct},
            {"old_logprobs": old_of(examples, tokens)},
            {"divisor": tokens if self.reduction == "tokens" else ones},
        )
        return train_writer(self, models["start"], items, NegativeAware(self.floor), out, seed, machine, entropy=True)

    def _weights(self, rate: NDArray[np.float64], correct: NDArray[np.float64], tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        omega = 1 - rate if self.omega == "linear" else np.sqrt((1 - rate) / rate)
        own = omega * np.where(correct, 1.0, self.neg_weight)
        return own / np.maximum(1, tokens) if self.reduction == "row_means" else own
