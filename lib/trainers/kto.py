"""Kahneman-Tversky optimisation (Ethayarajh et al. 2024; T.pref) through TRL's KTOTrainer, on the sampled token ids.

With Δ(y) = log π(y|x) - log π_ref(y|x) and z a step's mean of Δ over mismatched rows (a prompt with another's completion), not
below 0 and without gradient:

    kto                  good: w₊ (1 - σ(β(Δ - z)))     bad: w₋ (1 - σ(β(z - Δ)))
    apo_zero_unpaired    good: w₊ (1 - σ(βΔ))           bad: w₋ σ(βΔ)

as a mean over rows. Each row has one mismatched partner, drawn once by the seed; TRL pairs the rows of a batch instead, and
estimates z anew for every micro-batch.
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

from lib.errors import UserError
from lib.protocols import Machine
from lib.records import IGNORED
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Ragged, Rows, Sequences, refuse_none

if TYPE_CHECKING:
    from torch import Tensor


class Kto(Optimisation):
    """Raises the probability of completions with target 1 and lowers that of those with target 0, against a reference."""

    learns_from: ClassVar[str] = "unpaired"

    learning_rate: float = Field(5e-5, gt=0)
    """The highest; shares of it are reached as the schedule says."""
    steps: int | None = Field(200, ge=1)
    """How long to train; None where `epochs` says so."""
    dropout: bool = False
    """Whether a model that drops out does so while it learns; its reference did not."""
    beta: float = Field(0.1, gt=0)
    """How dear it is to leave the reference."""
    loss_type: Literal["kto", "apo_zero_unpaired"] = "kto"
    """Which loss, as above."""
    desirable_weight: float = Field(1.0, ge=0)
    """w₊, the weight of good rows."""
    undesirable_weight: float = Field(1.0, ge=0)
    """w₋, the weight of bad rows."""
    reference: str = "previous"
    """The model to measure against: base, previous, champion, round:N, phase:NAME or external:PATH."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: loss_first, loss_last, kl_last (z), steps, tokens_trained.

        Raises UserError if there are no examples, if a target is neither 0 nor 1, or if the loss stops being a number.
        """
        from lib.trainers.reference import reference_logprobs
        from lib.trainers.through_trl import Run

        refuse_none(examples, "Kto")
        targets = examples["target"].to_numpy()
        if strange := int((~np.isin(targets, (0, 1))).sum()):
            raise UserError(f"Kto takes targets of 1 (good) and 0 (bad), and {strange} of {len(targets)} examples have another")
        sequences = Sequences.of(examples)
        own = reference_logprobs(models["reference"], sequences, self.dtype, machine).sums()
        strangers, theirs = None, own
        if self.loss_type == "kto":
            strangers = _mismatched(sequences, np.random.default_rng(seed).permutation(len(targets)))
            theirs = reference_logprobs(models["reference"], strangers, self.dtype, machine).sums()
        rows = _Rows(sequences, strangers, targets == 1, own, theirs)
        run = Run(self, models["start"], examples.num_rows, rows, seed, machine)
        weights = {"desirable_weight": self.desirable_weight, "undesirable_weight": self.undesirable_weight}
        figures = run.by_targets(out, beta=self.beta, loss_type=self.loss_type, **weights)
        return {**figures, "tokens_trained": int(sequences.labelled[self.order(examples.num_rows, seed)].sum())}


@dataclass(frozen=True, slots=True)
class _Rows:
    """Collates rows as KTOTrainer takes them; a step's first micro-batch has the mismatched rows of the whole step."""

    sequences: Sequences
    strangers: Sequences | None
    good: NDArray[np.bool_]
    own: NDArray[np.float64]
    """log π_ref of every row."""
    theirs: NDArray[np.float64]
    """log π_ref of every mismatched row."""

    def __call__(self, rows: Rows, step_rows: Rows) -> dict[str, Any]:
        import torch

        given: dict[str, Any] = {"label": torch.from_numpy(self.good[rows]), "ref_logps": torch.from_numpy(self.own[rows]).float()}
        given |= _tensors(self.sequences, rows)
        if self.strangers is not None:
            first = np.array_equal(rows, step_rows[: len(rows)])
            parts = np.split(step_rows, len(step_rows) // len(rows)) if first else []
            given["KL_input_ids"] = [_tensors(self.strangers, part, "KL_") for part in parts]
            given["ref_KL_logps"] = torch.from_numpy(self.theirs[step_rows]).float()
        return given


def _tensors(sequences: Sequences, rows: Rows, prefix: str = "") -> dict[str, Tensor]:
    tensors = sequences.tensors(rows)
    given = {"input_ids": tensors["input_ids"], "attention_mask": tensors["attention_mask"]}
    return {prefix + name: value for name, value in {**given, "completion_mask": (tensors["labels"] != IGNORED).long()}.items()}


def _mismatched(sequences: Sequences, ring: Rows) -> Sequences:
    """Every row's prompt, up to its first labelled token, with what follows the prompt of the row after it in the ring."""
    after = np.empty_like(ring)
    after[ring] = np.roll(ring, -1)
    ids, labels = [], []
    for row, other in enumerate(after):
        own, theirs = (_parts(sequences, number) for number in (row, other))
        ids.append(np.concatenate([own[0], theirs[1]]))
        labels.append(np.concatenate([np.full(len(own[0]), IGNORED), theirs[2]]))
    bounds = np.concatenate([[0], np.cumsum([len(row) for row in ids])])
    joined = np.concatenate(labels)
    before = np.concatenate([[0], np.cumsum(joined != IGNORED)])
    return Sequences(Ragged(np.concatenate(ids), bounds), Ragged(joined, bounds), np.diff(before[bounds]))


def _parts(sequences: Sequences, row: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A row's prompt ids, the ids after the prompt, and their labels."""
    ids, labels = (column.values[slice(*column.bounds[row : row + 2])] for column in (sequences.ids, sequences.labels))
    length = int(np.argmax(labels != IGNORED)) if (labels != IGNORED).any() else len(labels)
    return ids[:length], ids[length:], labels[length:]
