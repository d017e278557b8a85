"""Pairs as rows: the chosen sides of all pairs, then the rejected ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lib.errors import UserError
from lib.records import IGNORED
from lib.trainers.known import reference_of
from lib.trainers.rows import Ragged, Rows, Sequences

SIDES = ("chosen", "rejected")


def both_sides(examples: pa.Table) -> Sequences:
    """The chosen side of every pair, then the rejected side of every pair."""
    sides = [
        examples.select(["example_id", f"{side}_input_ids", f"{side}_labels"]).rename_columns(["example_id", "input_ids", "labels"])
        for side in SIDES
    ]
    return Sequences.of(pa.concat_tables(sides))


def pairs_of(count: int) -> Ragged:
    """The two rows of every pair."""
    return Ragged(np.arange(2 * count).reshape(2, count).T.ravel(), np.arange(0, 2 * count + 1, 2))


def of_pairs(examples: pa.Table, *columns: str, null: float | None = None) -> NDArray[Any]:
    """A column of pairs for both of their rows, or one for the chosen and one for the rejected."""
    filled = [examples[name] if null is None else examples[name].fill_null(null) for name in columns]
    values = [np.asarray(column.to_numpy(), dtype=np.float64) for column in filled]
    return np.concatenate([values[0], values[-1]])


def reference_of_both(examples: pa.Table, labelled: Rows, trainer: str) -> Ragged:
    """log π_ref of every labelled token of every row; errors as in `reference_of`."""
    halves = np.split(labelled, 2)
    chosen, rejected = (reference_of(examples, half, trainer, f"{side}_") for side, half in zip(SIDES, halves, strict=True))
    bounds = np.concatenate([chosen.bounds, chosen.bounds[-1] + rejected.bounds[1:]])
    return Ragged(np.concatenate([chosen.values, rejected.values]), bounds)


def counted_from(sequences: Sequences, split: NDArray[Any]) -> Rows:
    """How many labelled tokens of each row stand at or after a place."""
    bounds = sequences.labels.bounds
    place = np.arange(bounds[-1]) - np.repeat(bounds[:-1], np.diff(bounds))
    counted = (sequences.labels.values != IGNORED) & (place >= np.repeat(split, np.diff(bounds)))
    return np.diff(np.concatenate([[0], np.cumsum(counted)])[bounds])


def refuse_weights(examples: pa.Table, trainer: str) -> None:
    """Raise UserError unless every example has weight 1."""
    weighted = int((examples["weight"].to_numpy() != 1).sum())
    if weighted:
        raise UserError(
            f"{trainer} gives every example the same weight, and {weighted} of {examples.num_rows} examples have one other than 1; "
            "drop the filter that weighs them"
        )
