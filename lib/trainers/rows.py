"""Examples as flat arrays, and the order in which training meets them.

Token ids come from the rows as they are: nothing is tokenised, appended or cut. A list column stays one flat array, and
only the rows of a micro-batch are padded, on the right, to the longest of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lib.errors import SchemaMismatch, UserError
from lib.records import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

Rows = NDArray[np.int64]
"""Numbers of rows."""


@dataclass(frozen=True, slots=True)
class Ragged:
    """A list column: row i is values[bounds[i] : bounds[i + 1]]."""

    values: NDArray[Any]
    bounds: Rows

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Ragged:
        lists = column.cast(pa.large_list(column.type.value_type)).combine_chunks()  # 64 bits, to hold any number of tokens
        bounds = lists.offsets.to_numpy()
        return cls(lists.values.to_numpy(zero_copy_only=False)[: bounds[-1]], bounds)

    @property
    def lengths(self) -> Rows:
        return np.diff(self.bounds)

    def padded(self, rows: Rows, fill: int) -> NDArray[Any]:
        """Those rows, one below the other, padded on the right: (rows, longest of them)."""
        lengths = self.lengths[rows]
        table = np.full((len(rows), lengths.max(initial=0)), fill, dtype=self.values.dtype)
        table[np.arange(table.shape[1]) < lengths[:, None]] = self.joined(rows)
        return table

    def joined(self, rows: Rows) -> NDArray[Any]:
        """The values of those rows, one row after the other."""
        lengths = self.lengths[rows]
        starts = self.bounds[rows] - (np.cumsum(lengths) - lengths)
        return self.values[np.repeat(starts, lengths) + np.arange(lengths.sum())]


@dataclass(frozen=True, slots=True)
class Sequences:
    """Token ids and their labels. A row's first token is predicted from nothing, so it never carries loss."""

    ids: Ragged
    labels: Ragged
    labelled: Rows
    """How many tokens of each row carry loss."""

    @classmethod
    def of(cls, examples: pa.Table) -> Sequences:
        """From the columns input_ids and labels; SchemaMismatch where a row has not as many of one as of the other."""
        ids, labels = Ragged.of(examples["input_ids"]), Ragged.of(examples["labels"])
        refuse_unequal(examples, {"input_ids": ids.lengths, "labels": labels.lengths})
        values = labels.values.copy()
        values[labels.bounds[:-1][labels.lengths > 0]] = IGNORED
        before = np.concatenate([[0], np.cumsum(values != IGNORED)])
        return cls(ids, Ragged(values, labels.bounds), np.diff(before[labels.bounds]))

    def tensors(self, rows: Rows) -> dict[str, Tensor]:
        """input_ids, labels and attention_mask of those rows, each (rows, longest of them)."""
        import torch

        ids = torch.from_numpy(self.ids.padded(rows, 0)).long()
        labels = torch.from_numpy(self.labels.padded(rows, IGNORED)).long()
        present = np.arange(ids.shape[1]) < self.ids.lengths[rows][:, None]
        return {"input_ids": ids, "labels": labels, "attention_mask": torch.from_numpy(present).long()}


@dataclass(frozen=True, slots=True)
class Weighted:
    """Collates sequences with w and Z of a loss that is Σ_i w_i Σ_j l_ij / Z."""

    sequences: Sequences
    weight: NDArray[Any]
    """w of every row."""
    part: NDArray[Any]
    """What a row adds to Z of the step that it is in."""

    def __call__(self, rows: Rows, step_rows: Rows) -> dict[str, Tensor]:
        import torch

        weight = torch.from_numpy(self.weight[rows]).float()
        divisor = torch.tensor(max(1.0, float(self.part[step_rows].sum())))
        return {**self.sequences.tensors(rows), "weight": weight, "divisor": divisor}


def on_labels(values: Ragged, rows: Rows, labels: Tensor) -> Tensor:
    """One value per labelled token, each laid where its label is predicted: (rows, length - 1), zero elsewhere."""
    import torch

    mask = labels[:, 1:] != IGNORED
    laid = torch.zeros(mask.shape, dtype=torch.float32)
    laid[mask] = torch.from_numpy(values.joined(rows).astype(np.float32))
    return laid


def refuse_unequal(examples: pa.Table, lengths: dict[str, Rows]) -> None:
    """Raise SchemaMismatch naming the first example whose two list columns are not of one length."""
    (name, ours), (other, theirs) = lengths.items()
    if not np.array_equal(ours, theirs):
        row = int(np.flatnonzero(ours != theirs)[0])
        raise SchemaMismatch(
            f"example {examples['example_id'][row]} has {ours[row]} {name} and {theirs[row]} {other}; they must be as many"
        )


def refuse_none(examples: pa.Table, trainer: str) -> None:
    """Raise UserError if there is nothing to learn from."""
    if not examples.num_rows:
        raise UserError(
            f"no examples to train on: the stage before {trainer} kept none of the completions; "
            "loosen its filters, sample more per problem, or start from a model that solves some"
        )


def order(rows: int, batch_size: int, steps: int, seed: int) -> Rows:
    """Which rows each step sees: (steps, batch), permutations of all rows laid end to end and cut into batches.

    A batch is every row where there are fewer than `batch_size`.
    """
    batch = min(batch_size, rows)
    draw = np.random.default_rng(seed)
    passes = [draw.permutation(rows) for _ in range(-(-steps * batch // rows))]
    return np.concatenate(passes)[: steps * batch].reshape(steps, batch)


def micro_batch(batch: int, wanted: int | None) -> int:
    """The largest divisor of a batch that is not above what the machine may hold; the batch itself where it says nothing."""
    most = min(batch, wanted or batch)
    return next(size for size in range(most, 0, -1) if batch % size == 0)


class Collate(Protocol):
    """Makes the tensors of some of a step's rows."""

    def __call__(self, rows: Rows, step_rows: Rows) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Batches:
    """Every micro-batch of a training, in order: what a trainer takes for its data loader."""

    order: Rows
    micro: int
    collate: Collate

    @property
    def per_step(self) -> int:
        return self.order.shape[1] // self.micro

    def __len__(self) -> int:
        return len(self.order) * self.per_step

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for step_rows in self.order:
            for rows in step_rows.reshape(-1, self.micro):
                yield self.collate(rows, step_rows)
