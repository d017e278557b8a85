"""Examples as flat arrays, and the tensors of some of them.

Token ids come from the rows as they are: nothing is tokenised, appended or cut. A list column stays one flat array, and
only the rows of a micro-batch are padded, on the right, to the longest of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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

    def lengths_of(self, rows: Rows) -> Rows:
        return self.bounds[rows + 1] - self.bounds[rows]

    def padded(self, rows: Rows, fill: int) -> NDArray[Any]:
        """Those rows, one below the other, padded on the right: (rows, longest of them)."""
        lengths = self.lengths_of(rows)
        table = np.full((len(rows), lengths.max(initial=0)), fill, dtype=self.values.dtype)
        table[np.arange(table.shape[1]) < lengths[:, None]] = self.joined(rows)
        return table

    def sums(self) -> NDArray[np.float64]:
        """Every row's sum."""
        before = np.concatenate([[0.0], np.cumsum(self.values, dtype=np.float64)])
        return np.asarray(np.diff(before[self.bounds]))

    def joined(self, rows: Rows) -> NDArray[Any]:
        """The values of those rows, one row after the other."""
        lengths = self.lengths_of(rows)
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
        present = np.arange(ids.shape[1]) < self.ids.lengths_of(rows)[:, None]
        return {"input_ids": ids, "labels": labels, "attention_mask": torch.from_numpy(present).long()}


@dataclass(frozen=True, slots=True)
class Items:
    """What a loss over log-probabilities is taken over: rows, each of them alone or with those that it is compared to.

    An item's rows are never in two micro-batches. A micro-batch holds input_ids and labels (rows, longest of them), what is
    known of its rows and tokens, and sums over the whole step, so that a loss does not depend on the cut.
    """

    sequences: Sequences
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """A number for each row: (rows,) in a micro-batch."""
    tokens: Mapping[str, Ragged] = field(default_factory=dict)
    """A number for each labelled token: (rows, length - 1) in a micro-batch, laid where its label is predicted."""
    sums: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """A number for each row, summed over all rows of the step, 1 where that is 0: () in a micro-batch."""
    groups: Ragged | None = None
    """The rows of every item; None where each row is one. A micro-batch then says of each row, in `group`, which it belongs to."""

    @property
    def count(self) -> int:
        return len(self.counts)

    @property
    def counts(self) -> Rows:
        """How many rows each item has."""
        return np.ones(len(self.sequences.labelled), dtype=np.int64) if self.groups is None else self.groups.lengths

    @property
    def lengths(self) -> Rows:
        """Tokens of each item's longest row."""
        own = self.sequences.ids.lengths
        return own if self.groups is None else np.maximum.reduceat(own[self.groups.values], self.groups.bounds[:-1])

    def labelled_in(self, items: Rows) -> int:
        """How many tokens of these items carry loss."""
        return int(self.sequences.labelled[self._rows(items)].sum())

    def __call__(self, items: Rows, step_items: Rows) -> dict[str, Tensor]:
        """The tensors of some of a step's items."""
        import torch

        rows = self._rows(items)
        batch = self.sequences.tensors(rows)
        batch |= {name: on_labels(values, rows, batch["labels"]) for name, values in self.tokens.items()}
        batch |= {name: torch.from_numpy(values[rows]).float() for name, values in self.columns.items()}
        if self.sums:
            whole = self._rows(step_items)
            batch |= {name: torch.tensor(float(values[whole].sum()) or 1.0) for name, values in self.sums.items()}
        if self.groups is not None:
            batch["group"] = torch.from_numpy(np.repeat(np.arange(len(items)), self.groups.lengths_of(items)))
        return batch

    def _rows(self, items: Rows) -> Rows:
        return items if self.groups is None else self.groups.joined(items)


def grouped(keys: pa.ChunkedArray) -> Ragged:
    """The rows of each value of a column, in the order in which the values come first."""
    codes = keys.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return Ragged(np.argsort(codes, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(codes))]))


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
