"""Supervised fine-tuning: (weighted) maximum likelihood of the labelled tokens (T.sft), through TRL's SFTTrainer.

L = -Σ_i w_i Σ_j log π(y_ij | x_i, y_i<j) / Z, with Z the number of labelled tokens in the global batch, whatever their
weights. w = 1: rejection-sampling fine-tuning, STaR, ReST-EM; other weights: reward-weighted regression. A negative
weight lowers a row's likelihood and has no lower bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from lib.protocols import Machine
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Sequences, Weighted, refuse_none


class Sft(Optimisation):
    """Learns to write the labelled tokens of every example."""

    learns_from: ClassVar[str] = "sft"

    replay: tuple[str, ...] = ()
    """Models whose own examples are learned again beside the new ones; `base`: those of the warm start."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: loss_first and loss_last (per labelled token), steps, tokens_trained.

        Raises UserError if there are no examples, or if the loss stops being a number.
        """
        from lib.trainers.loop import Run
        from lib.trainers.objective import likelihood

        refuse_none(examples, "Sft")
        sequences = Sequences.of(examples)
        collate = Weighted(sequences, examples["weight"].to_numpy(), sequences.labelled)
        batches = self.batches(examples.num_rows, collate, seed, machine)
        figures = Run(self, models["start"], batches, seed, machine).by_objective(likelihood, out)
        return {**figures, "tokens_trained": int(sequences.labelled[batches.order].sum())}
