"""What examples say of their tokens beside the ids: log-probabilities under the policy that sampled and under a reference."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib.errors import UserError
from lib.trainers.rows import Ragged, Rows, refuse_unequal


def old_of(examples: pa.Table, labelled: Rows) -> Ragged:
    """log π_old of every labelled token. Raises SchemaMismatch where a row has another number of them."""
    old = Ragged.of(examples["old_logprobs"])
    refuse_unequal(examples, {"labelled tokens": labelled, "old_logprobs": old.lengths})
    return old


def reference_of(examples: pa.Table, labelled: Rows, trainer: str, side: str = "") -> Ragged:
    """log π_ref of every labelled token, of a `side` such as `chosen_` where there are two.

    Raises UserError where a row has none, SchemaMismatch where it has another number of them.
    """
    column = examples[f"{side}reference_logprobs"]
    if column.null_count:
        raise UserError(
            f"{trainer} needs the reference's log-probabilities, and {column.null_count} of {len(column)} examples have none; "
            'add a verify stage with Likelihood(model="previous") that the filter stage reads'
        )
    reference = Ragged.of(column)
    refuse_unequal(examples, {"labelled tokens": labelled, f"{side}reference_logprobs": reference.lengths})
    return reference


def reference_or_old(examples: pa.Table, labelled: Rows, old: Ragged) -> tuple[Ragged, NDArray[np.float64]]:
    """log π_ref of every labelled token, with log π_old in the place of what is missing, and 1 for each row that has its own, else 0."""
    column = examples["reference_logprobs"]
    given = np.asarray(column.is_valid().to_numpy())
    lengths = np.where(given, Ragged.of(column.fill_null([])).lengths, old.lengths)
    refuse_unequal(examples, {"labelled tokens": labelled, "reference_logprobs": lengths})
    return Ragged.of(pc.coalesce(column, examples["old_logprobs"])), given.astype(np.float64)


def weight_of(examples: pa.Table) -> NDArray[np.float64]:
    """The rows' weights, 1 where there is none."""
    return np.asarray(examples["weight"].fill_null(1.0).to_numpy())
