"""Preference optimisation in our own loop (T.pref): weights of pairs, doubt for each pair, and steps that branch.

With Δ(y) = log π(y|x) - log π_ref(y|x), h = Δ(chosen) - Δ(rejected), and the weighted mean over pairs:

    dpo      -log σ(βh)                                                 Rafailov et al. 2023; ln 2 where π = π_ref
    cdpo     -(1 - ε) log σ(βh) - ε log σ(-βh)                          Mitchell 2023; MCTS-DPO sets ε for each pair
    robust   [-(1 - ε) log σ(βh) + ε log σ(-βh)] / (1 - 2ε)             Chowdhury et al. 2024
    ipo      (h - 1/(2β))²                                              Azar et al. 2023; TRL takes means per token
    hinge    max(0, 1 - βh)                                             Zhao et al. 2023
    simpo    -log σ(β l(chosen)/|chosen| - β l(rejected)/|rejected| - γ)     Meng et al. 2024, no reference
    margin   max(0, m - l(chosen) + l(rejected))                        no reference

plus nll_weight times the negative log-likelihood of the chosen side. Where a pair has a split_pos, tokens before it (the
steps that both sides share) count nowhere: step-level DPO. log π_ref comes with the examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from lib.errors import UserError
from lib.protocols import Machine
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Items, refuse_none
from lib.trainers.sides import both_sides, counted_from, of_pairs, pairs_of, reference_of_both

UNCOMPARED = ("simpo", "margin")
"""Losses without a reference."""


class Preference(Optimisation):
    """Learns to prefer the chosen completion of every pair, as much as the pair is worth."""

    learns_from: ClassVar[str] = "pair"

    learning_rate: float = Field(5e-5, gt=0)
    """The highest; shares of it are reached as the schedule says."""
    steps: int | None = Field(200, ge=1)
    """How long to train; None where `epochs` says so."""
    dropout: bool = False
    """Whether a model that drops out does so while it learns; its reference did not."""
    loss: Literal["dpo", "cdpo", "robust", "ipo", "hinge", "simpo", "margin"] = "dpo"
    """Which loss, as above."""
    beta: float = Field(0.1, gt=0)
    """How dear it is to leave the reference; SimPO's authors take 2 and more."""
    per_token: bool = False
    """Whether Δ is a mean over the side's tokens instead of a sum; in simpo it always is."""
    epsilon: float = Field(0.0, ge=0, lt=0.5)
    """In cdpo and robust: how probably a pair is the wrong way round, where the pair does not say."""
    gamma: float = Field(0.5, ge=0)
    """In simpo: by how much the chosen side must lead."""
    least_margin: float = Field(1.0, ge=0)
    """In margin: the m, by how much the chosen side must lead."""
    nll_weight: float = Field(0.0, ge=0)
    """Weight of the chosen side's negative log-likelihood, which keeps its probability from falling with the other's."""
    nll_reduction: Literal["tokens", "rows"] = "tokens"
    """That likelihood as a mean over all chosen tokens, or over rows of the mean over each row's tokens (SPaR)."""

    @model_validator(mode="after")
    def _margin_is_of_likelihoods(self) -> Preference:
        if self.per_token and self.loss == "simpo":
            raise UserError("Preference has loss=simpo, which is of means per token in any case; leave per_token out")
        return self

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: loss_first, loss_last, accuracy_last, margin_last (of βh), steps, tokens_trained.

        Raises UserError if there are no examples, if they lack a reference that is needed, if robust meets a pair with ε of
        1/2 or more, or if the loss stops being a number.
        """
        from lib.trainers.loop import train_writer
        from lib.trainers.preferences import Preferring

        refuse_none(examples, "Preference")
        per_token = self.per_token or self.loss == "simpo"
        likelihood = (self.nll_weight, self.nll_reduction == "rows")
        objective = Preferring(self.loss, self.beta, per_token, self.gamma, self.least_margin, *likelihood)
        return train_writer(self, models["start"], self._items(examples), objective, out, seed, machine)

    def _items(self, examples: pa.Table) -> Items:
        sequences, count = both_sides(examples), examples.num_rows
        split = of_pairs(examples, "split_pos", null=0)
        epsilon = of_pairs(examples, "epsilon", null=self.epsilon)
        if self.loss == "robust" and epsilon.max() >= 0.5:
            raise UserError("Preference with loss=robust needs epsilon below 1/2, and a pair has more; use loss=cdpo, or drop such pairs")
        is_chosen = np.repeat([1.0, 0.0], count)
        chosen_tokens = counted_from(sequences, split) * is_chosen
        known = {} if self.loss in UNCOMPARED else {"reference_logprobs": reference_of_both(examples, sequences.labelled, "Preference")}
        return Items(
            sequences,
            {"weight": of_pairs(examples, "weight"), "epsilon": epsilon, "split": split},
            known,
            {"pairs": is_chosen, "nll_over": is_chosen if self.nll_reduction == "rows" else chosen_tokens},
            pairs_of(count),
        )
