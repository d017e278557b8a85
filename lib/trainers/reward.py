"""A reward model from preferences (T.value): Bradley-Terry through TRL's RewardTrainer, on the sampled token ids.

L = -log σ(R_chosen - R_rejected - m), a mean over pairs, with m = margin_scale · (chosen_score - rejected_score). The model is
a sequence classification model of one logit, as `RewardModel` reads it; `PairValue` makes one that values every token.
Left out: weights of pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from lib.protocols import Machine
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Rows, Sequences, refuse_none
from lib.trainers.sides import both_sides, refuse_weights

if TYPE_CHECKING:
    from torch import Tensor


class Reward(Optimisation):
    """Learns to give the chosen side of every pair more than the rejected one."""

    learns_from: ClassVar[str] = "pair"

    learning_rate: float = Field(1e-4, gt=0)
    """The highest; shares of it are reached as the schedule says."""
    steps: int | None = Field(200, ge=1)
    """How long to train; None where `epochs` says so."""
    margin_scale: float = Field(0.0, ge=0)
    """How much of the difference in score the logits must differ by."""
    start_role: str = ""
    """The role whose model to start from, `policy` for a reward model that grows on it; empty: the phase's own."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the reward model to `out`; figures: loss_first, loss_last, accuracy_last, margin_last, steps, tokens_trained.

        Raises UserError if there are no examples, if they are weighted, or if the loss stops being a number.
        """
        from lib import heads
        from lib.trainers.through_trl import Run

        refuse_none(examples, "Reward")
        refuse_weights(examples, "Reward")
        margins = self.margin_scale * (examples["chosen_score"].to_numpy() - examples["rejected_score"].to_numpy())
        model: Any = heads.load_with_head(models["start"], "sequence", seed=seed, device=machine.device)
        pairs = _Pairs(both_sides(examples), margins, model.config.pad_token_id)
        figures = Run(self, models["start"], examples.num_rows, pairs, seed, machine).by_reward(model, out)
        tokens = pairs.sequences.ids.lengths.reshape(2, -1).sum(0)
        return {**figures, "tokens_trained": int(tokens[self.order(examples.num_rows, seed)].sum())}


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Collates pairs as RewardTrainer takes them: the chosen sides above, the rejected sides below."""

    sequences: Sequences
    """The chosen side of every pair, then the rejected side of every pair."""
    margins: NDArray[np.float64]
    pad: int
    """The token by which the model finds where a row ends."""

    def __call__(self, rows: Rows, step_rows: Rows) -> dict[str, Tensor]:
        import torch

        both = np.concatenate([rows, rows + len(self.margins)])
        tensors = self.sequences.tensors(both)
        mask = tensors["attention_mask"]
        ids = tensors["input_ids"].masked_fill(mask == 0, self.pad)
        return {"input_ids": ids, "attention_mask": mask, "margin": torch.from_numpy(self.margins[rows]).float()}
