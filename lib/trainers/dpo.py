"""Direct preference optimisation and its kin (T.pref), through TRL's DPOTrainer, on the sampled token ids.

With Δ(y) = log π(y|x) - log π_ref(y|x) and h = Δ(chosen) - Δ(rejected), and the mean over pairs:

    sigmoid       -log σ(βh)                        Rafailov et al. 2023; ln 2 where the policy is the reference
    hinge         max(0, 1 - βh)                    Zhao et al. 2023
    ipo           (h' - 1/(2β))², h' of means per token        Azar et al. 2023
    sigmoid_norm  -log σ(βh'), h' of means per token
    sppo_hard, nca_pair, apo_zero, apo_down         as TRL defines them

plus nll_weight times the negative log-likelihood of the chosen side, as a mean over its tokens in the global batch. Left
out: losses that compare the pairs of a batch; weights of pairs and soft labels, which `Preference` has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from lib.protocols import Machine
from lib.records import IGNORED
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Rows, Sequences, refuse_none
from lib.trainers.sides import both_sides, reference_of_both, refuse_weights

if TYPE_CHECKING:
    from torch import Tensor

Loss = Literal["sigmoid", "hinge", "ipo", "sigmoid_norm", "sppo_hard", "nca_pair", "apo_zero", "apo_down"]


class Dpo(Optimisation):
    """Learns to prefer the chosen completion of every pair, measured against a reference."""

    learns_from: ClassVar[str] = "pair"

    learning_rate: float = Field(5e-5, gt=0)
    """The highest; shares of it are reached as the schedule says."""
    steps: int | None = Field(200, ge=1)
    """How long to train; None where `epochs` says so."""
    dropout: bool = False
    """Whether a model that drops out does so while it learns; its reference did not."""
    beta: float = Field(0.1, gt=0)
    """How dear it is to leave the reference."""
    loss_type: Loss = "sigmoid"
    """Which loss of the margin."""
    nll_weight: float = Field(0.0, ge=0)
    """Weight of the chosen side's negative log-likelihood, which keeps its probability from falling with the other's."""
    reference: str | None = "previous"
    """The model to measure against: base, previous, champion, round:N, phase:NAME or external:PATH; None: the one whose
    log-probabilities the examples hold, which then need not be loaded."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: loss_first, loss_last, accuracy_last, margin_last, steps, tokens_trained.

        Accuracy and margin are those of the implicit rewards βΔ. Raises UserError if there are no examples, if they are
        weighted or lack the reference, or if the loss stops being a number.
        """
        from lib.trainers.reference import reference_logprobs
        from lib.trainers.through_trl import Run

        refuse_none(examples, "Dpo")
        refuse_weights(examples, "Dpo")
        sequences = both_sides(examples)
        if self.reference is None:
            scored = reference_of_both(examples, sequences.labelled, "Dpo")
        else:
            scored = reference_logprobs(models["reference"], sequences, self.dtype, machine)
        pairs = _Pairs(sequences, scored.sums(), examples.num_rows)
        run = Run(self, models["start"], examples.num_rows, pairs, seed, machine)
        figures = run.by_preference(self.loss_type, self.beta, self.nll_weight, out)
        return {**figures, "tokens_trained": int(pairs.labelled[self.order(examples.num_rows, seed)].sum())}


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Collates pairs as DPOTrainer takes them: the chosen sides above, the rejected sides below."""

    sequences: Sequences
    """The chosen side of every pair, then the rejected side of every pair."""
    reference: NDArray[np.float64]
    """log π_ref of each of them."""
    count: int
    """How many pairs."""

    @property
    def labelled(self) -> Rows:
        """How many tokens of each pair carry loss."""
        return self.sequences.labelled[: self.count] + self.sequences.labelled[self.count :]

    def __call__(self, rows: Rows, step_rows: Rows) -> dict[str, Any]:
        import torch

        tensors = self.sequences.tensors(np.concatenate([rows, rows + self.count]))
        chosen_tokens: Rows = self.sequences.labelled[: self.count]
        share = chosen_tokens[rows].sum() / max(1, chosen_tokens[step_rows].sum())

        def scores(at: Rows) -> Tensor:
            return torch.from_numpy(self.reference[at]).float()

        return {
            "input_ids": tensors["input_ids"],
            "attention_mask": tensors["attention_mask"],
            "completion_mask": (tensors["labels"] != IGNORED).long(),
            "ref_chosen_logps": scores(rows),
            "ref_rejected_logps": scores(rows + self.count),
            "nll_share": float(share) * len(step_rows) / len(rows),
        }
