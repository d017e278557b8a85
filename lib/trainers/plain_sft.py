"""Plain supervised fine-tuning through TRL's SFTTrainer, on the sampled token ids: what `Sft` does without its settings.

L = -Σ_ij log π(y_ij | x_i, y_i<j) / Z, with Z the labelled tokens of the global batch. Left out: weights of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from lib.protocols import Machine
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Sequences, refuse_none
from lib.trainers.sides import refuse_weights


class PlainSft(Optimisation):
    """Learns to write the labelled tokens of every example, by TRL's own loop and loss."""

    learns_from: ClassVar[str] = "sft"

    replay: tuple[str, ...] = ()
    """Models whose own examples are learned again beside the new ones; `base`: those of the warm start."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: loss_first and loss_last (per labelled token), steps, tokens_trained.

        Raises UserError if there are no examples, if they are weighted, or if the loss stops being a number.
        """
        from lib.trainers.through_trl import Run

        refuse_none(examples, "PlainSft")
        refuse_weights(examples, "PlainSft")
        sequences = Sequences.of(examples)
        run = Run(self, models["start"], examples.num_rows, lambda rows, _: sequences.tensors(rows), seed, machine)
        figures = run.by_likelihood(out)
        return {**figures, "tokens_trained": int(sequences.labelled[self.order(examples.num_rows, seed)].sum())}
