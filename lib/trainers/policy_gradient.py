"""Clipped policy gradient on completions sampled earlier (T.pg, offline): one forward pass, no reference model held.

L = -agg_j min(ρ A, clip(ρ, 1 - clip_low, 1 + clip_high) A) + β k3, with ρ = exp(log π - log π_old) for every token, A the
advantage of its completion, and k3 = π_ref/π - log(π_ref/π) - 1. Over a global batch of rows i with n_i labelled tokens:

    grpo      mean over rows of the mean over a row's tokens       Shao et al. 2024
    dapo      mean over all tokens                                 Yu et al. 2025
    dr_grpo   sum over tokens / (rows · max_length)                Liu et al. 2025

Advantages come ready in the examples, and log π_old is that of the model that sampled, at temperature 1. Left out: sampling
inside the training, the ratio of whole sequences (GSPO), an entropy bonus.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from lib.errors import UserError
from lib.protocols import Machine
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Ragged, Rows, Sequences, Weighted, on_labels, refuse_none, refuse_unequal

if TYPE_CHECKING:
    from torch import Tensor


class PolicyGradient(Optimisation):
    """Raises the probability of tokens of positive advantage and lowers that of the others, within the clip."""

    learns_from: ClassVar[str] = "group"

    learning_rate: float = Field(5e-4, gt=0)
    """The highest, reached after the warm-up."""
    batch_size: int = Field(512, ge=1)
    """Completions per step, of several groups; all of them where there are fewer."""
    steps: int | None = Field(25, ge=1)
    """How long to train; None where `epochs` says so."""
    clip_low: float = Field(0.2, ge=0, le=1)
    """How far below 1 the ratio still carries a gradient when the advantage is negative."""
    clip_high: float = Field(0.2, ge=0)
    """How far above 1 the ratio still carries a gradient when the advantage is positive."""
    normalise: Literal["grpo", "dapo", "dr_grpo"] = "grpo"
    """How the losses of tokens become one number."""
    max_length: int | None = Field(None, ge=1)
    """The constant length that dr_grpo divides by: the sampler's max_new_tokens."""
    kl_coefficient: float = Field(0.0, ge=0)
    """Weight β of the divergence from the reference."""
    reference: str | None = None
    """The model to stay near, where kl_coefficient is not 0: base, previous, champion, round:N, phase:NAME or external:PATH."""

    @model_validator(mode="after")
    def _settings_agree(self) -> PolicyGradient:
        if (self.normalise == "dr_grpo") != (self.max_length is not None):
            raise UserError(
                f"PolicyGradient has normalise={self.normalise} and max_length={self.max_length}; "
                "give max_length with dr_grpo, and only with it"
            )
        if (self.kl_coefficient > 0) != (self.reference is not None):
            raise UserError(
                f"PolicyGradient has kl_coefficient={self.kl_coefficient:g} and reference={self.reference}; "
                "give reference with a kl_coefficient above 0, and only with it"
            )
        return self

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: loss_first, loss_last, clip_share, kl_old, kl_reference, steps, tokens_trained.

        Raises UserError if there are no examples, or if the loss stops being a number.
        """
        from lib.trainers.loop import Run
        from lib.trainers.objective import Clipped

        refuse_none(examples, "PolicyGradient")
        sequences = Sequences.of(examples)
        collate = self._collate(models, examples, sequences, machine)
        batches = self.batches(examples.num_rows, collate, seed, machine)
        objective = Clipped(self.clip_low, self.clip_high, self.kl_coefficient)
        figures = Run(self, models["start"], batches, seed, machine).by_objective(objective, out)
        return {**figures, "tokens_trained": int(sequences.labelled[batches.order].sum())}

    def _collate(self, models: Mapping[str, Path], examples: pa.Table, sequences: Sequences, machine: Machine) -> _Collate:
        known = {"old_logprobs": Ragged.of(examples["old_logprobs"])}
        refuse_unequal(examples, {"labelled tokens": sequences.labelled, "old_logprobs": known["old_logprobs"].lengths})
        if self.kl_coefficient:
            from lib.trainers.reference import reference_logprobs

            known["reference_logprobs"] = reference_logprobs(models["reference"], sequences, self.dtype, machine)
        ones = np.ones(examples.num_rows)
        weight = 1 / np.maximum(1, sequences.labelled) if self.normalise == "grpo" else ones
        part = {"grpo": ones, "dapo": sequences.labelled, "dr_grpo": ones * (self.max_length or 0)}[self.normalise]
        return _Collate(Weighted(sequences, weight, part), examples["advantage"].to_numpy(), known)


class _Collate:
    """Adds each completion's advantage, and what other models say of its tokens, to the weighted sequences."""

    def __init__(self, weighted: Weighted, advantage: np.ndarray, known: dict[str, Ragged]) -> None:
        self.weighted, self.advantage, self.known = weighted, advantage, known

    def __call__(self, rows: Rows, step_rows: Rows) -> dict[str, Tensor]:
        import torch

        batch = self.weighted(rows, step_rows)
        laid = {name: on_labels(values, rows, batch["labels"]) for name, values in self.known.items()}
        return {**batch, **laid, "advantage": torch.from_numpy(self.advantage[rows]).float()}
