"""The clipped policy-gradient update: settings, and the loss of examples of groups, wherever these come from.

L = -agg_j min(ρ A, clip(ρ, 1 - clip_low, 1 + clip_high) A) + β k3, with A the advantage of the completion and k3 =
π_ref/π - log(π_ref/π) - 1. The ratio is each token's, ρ = exp(log π - log π_old), or its row's, ρ = exp((l - l_old)/|y|)
(GSPO, Zheng et al. 2025). Over a global batch of rows i with n_i labelled tokens:

    grpo      mean over rows of the mean over a row's tokens       Shao et al. 2024
    dapo      mean over all tokens                                 Yu et al. 2025
    dr_grpo   sum over tokens / (rows · max_length)                Liu et al. 2025
    rows      sum over tokens / rows                               RLOO and REINFORCE++ as they are written down

Advantages come ready in the examples: those of GRPO, Dr.GRPO, RLOO, REINFORCE++ and of ADPO are settings of the filter that
makes them. log π_old is that of the model that sampled, log π_ref that of a verifier, both at temperature 1. Left out: an
entropy bonus, GSPO's variant with a gradient for each token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lib.errors import UserError
from lib.trainers.known import old_of, reference_of, reference_or_old, weight_of
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Items, Sequences

if TYPE_CHECKING:
    from lib.trainers.objective import Objective


class ClippedUpdate(Optimisation):
    """The settings that PolicyGradient and OnlinePolicyGradient have in common."""

    learns_from: ClassVar[str] = "group"

    learning_rate: float = Field(5e-4, gt=0)
    """The highest; shares of it are reached as the schedule says."""
    batch_size: int = Field(512, ge=1)
    """Completions per step, of several groups; all of them where there are fewer."""
    steps: int | None = Field(25, ge=1)
    """How long to train; None where `epochs` says so."""
    dropout: bool = False
    """Whether a model that drops out does so while it learns; the one that sampled did not."""
    ratio: Literal["token", "sequence"] = "token"
    """What is compared with the model that sampled: each token, or the row as a whole (GSPO, with a clip near 3e-4)."""
    clip_low: float = Field(0.2, ge=0, le=1)
    """How far below 1 the ratio still carries a gradient when the advantage is negative."""
    clip_high: float | None = Field(0.2, ge=0)
    """How far above 1 the ratio still carries a gradient when the advantage is positive; None: however far (with clip_low=1, RLOO)."""
    clip_widening: float = Field(0.0, ge=0)
    """ADPO's addition to clip_high, times clip((0.8 - p) / 0.5, 0, 1) with p the group's share of correct; Agent0's code has 0.1."""
    normalise: Literal["grpo", "dapo", "dr_grpo", "rows"] = "grpo"
    """How the losses of tokens become one number."""
    max_length: int | None = Field(None, ge=1)
    """The constant length that dr_grpo divides by: the sampler's max_new_tokens."""
    kl_coefficient: float = Field(0.0, ge=0)
    """Weight β of the divergence from the reference whose log-probabilities the examples hold."""
    kl_where: Literal["everywhere", "given"] = "everywhere"
    """Whether every example must have a reference, or those without are learned without the divergence."""

    @model_validator(mode="after")
    def _settings_agree(self) -> ClippedUpdate:
        if (self.normalise == "dr_grpo") != (self.max_length is not None):
            raise UserError(
                f"{type(self).__name__} has normalise={self.normalise} and max_length={self.max_length}; "
                "give max_length with dr_grpo, and only with it"
            )
        return self

    def objective(self) -> Objective:
        """The loss of a micro-batch."""
        from lib.trainers.policy_gradients import Clipped

        return Clipped(self.clip_low, self.kl_coefficient, by_sequence=self.ratio == "sequence")

    def items(self, examples: pa.Table) -> Items:
        """The examples with what the loss needs to know of each; UserError where they lack a reference that is needed."""
        sequences = Sequences.of(examples)
        tokens, ones = sequences.labelled, np.ones(examples.num_rows)
        known = {"old_logprobs": old_of(examples, tokens)}
        near = {}
        if self.kl_coefficient and self.kl_where == "given":
            known["reference_logprobs"], near["near"] = reference_or_old(examples, tokens, known["old_logprobs"])
        elif self.kl_coefficient:
            known["reference_logprobs"] = reference_of(examples, tokens, type(self).__name__)
        weight = weight_of(examples) / (np.maximum(1, tokens) if self.normalise == "grpo" else 1)
        part = {"dapo": tokens, "dr_grpo": ones * (self.max_length or 0)}.get(self.normalise, ones)
        columns = {
            "weight": weight,
            "advantage": examples["advantage"].to_numpy(),
            "high": self._high(examples["pass_rate"].to_numpy()),
            **near,
        }
        return Items(sequences, columns, known, {"divisor": part})

    def _high(self, pass_rate: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.clip_high is None:
            return np.full(len(pass_rate), np.inf)
        return self.clip_high + self.clip_widening * np.clip((0.8 - pass_rate) / 0.5, 0, 1)
