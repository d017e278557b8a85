"""Likelihood of any of a problem's solutions: MLE, MML and β-MML over sets of them (T.sft; TraceCodegen, Ni et al. 2022).

With l(y) the log-likelihood of a solution's labelled tokens and S a problem's solutions, a mean over problems of

    β = 0       -(1/|S|) Σ_{y in S} l(y)                     maximum likelihood
    0 < β < 1   -(1/β) log Σ_{y in S} exp(β l(y))            its gradient weighs solutions by softmax(β l)
    β = 1       -log Σ_{y in S} exp l(y)                     marginal likelihood

A small β learns every solution, β = 1 above all those that the model finds likely already. A problem's rows are always in one
step and in one micro-batch. Left out: weights of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from lib.protocols import Machine
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Items, Sequences, grouped, refuse_none
from lib.trainers.sides import refuse_weights


class MarginalLikelihood(Optimisation):
    """Learns to write one of the solutions of every problem."""

    learns_from: ClassVar[str] = "sft"

    batch_size: int = Field(16, ge=1)
    """Problems per step, each with all of its solutions; all of them where there are fewer."""
    beta: float = Field(1.0, ge=0, le=1)
    """From all solutions alike to the likely ones, as above."""
    replay: tuple[str, ...] = ()
    """Models whose own examples are learned again beside the new ones; `base`: those of the warm start."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: loss_first and loss_last (per problem), largest_share, steps, tokens_trained.

        `largest_share` is the mean weight of a problem's heaviest solution. Raises UserError if there are no examples, if
        they are weighted, or if the loss stops being a number.
        """
        from lib.trainers.likelihoods import Marginal
        from lib.trainers.loop import train_writer

        refuse_none(examples, "MarginalLikelihood")
        refuse_weights(examples, "MarginalLikelihood")
        groups = grouped(examples["problem_id"])
        first = np.zeros(examples.num_rows)
        first[groups.values[groups.bounds[:-1]]] = 1
        items = Items(Sequences.of(examples), sums={"divisor": first}, groups=groups)
        return train_writer(self, models["start"], items, Marginal(self.beta), out, seed, machine)
