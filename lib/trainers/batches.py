"""The order in which training meets its items, and how a step's items are cut into micro-batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lib.protocols import Machine
from lib.trainers.rows import Rows

TOKENS_ON_CPU, TOKENS = 4_096, 32_768
"""Tokens in a micro-batch, padding included."""
LOGITS_ON_CPU = 2**27
"""Logits of a micro-batch where no fused head spares them: tokens times vocabulary."""
OVERHEAD_ON_CPU, OVERHEAD = 256, 4_096
"""What a micro-batch costs beside its tokens, in tokens."""


def order(items: int, batch_size: int, steps: int, seed: int) -> Rows:
    """Which items each step sees: (steps, batch), permutations of all items laid end to end and cut into batches.

    A batch is every item where there are fewer than `batch_size`.
    """
    batch = min(batch_size, items)
    draw = np.random.default_rng(seed)
    passes = [draw.permutation(items) for _ in range(-(-steps * batch // items))]
    return np.concatenate(passes)[: steps * batch].reshape(steps, batch)


def cut(lengths: Rows, counts: Rows, most_rows: int, most_tokens: int, overhead: int) -> list[Rows]:
    """Places of items, longest first, in parts of like length: those that cost least to run, padding and overhead together.

    An item has counts[i] rows of at most lengths[i] tokens. A part has at most `most_rows` rows and `most_tokens` tokens
    with their padding, unless it is a single item.
    """
    places = np.argsort(-lengths, kind="stable")
    longest, before = lengths[places], np.concatenate([[0], np.cumsum(counts[places])])
    least, begins = np.zeros(len(places) + 1), np.zeros(len(places), dtype=np.int64)
    for last in range(len(places)):
        rows = before[last + 1] - before[: last + 1]
        tokens = rows * longest[: last + 1]
        fits = (rows <= most_rows) & (tokens <= most_tokens)
        fits[last] = True
        costs = np.where(fits, least[: last + 1] + tokens + overhead, np.inf)
        begins[last] = costs.argmin()
        least[last + 1] = costs[begins[last]]
    parts: list[Rows] = []
    end = len(places)
    while end:
        parts.append(places[begins[end - 1] : end])
        end = int(begins[end - 1])
    return parts[::-1]


def cut_for(machine: Machine, vocabulary: int, lengths: Rows, counts: Rows) -> list[Rows]:
    """`cut` by what a machine may hold at once."""
    most_tokens, overhead = TOKENS, OVERHEAD
    if machine.device == "cpu":
        most_tokens, overhead = min(TOKENS_ON_CPU, LOGITS_ON_CPU // vocabulary), OVERHEAD_ON_CPU
    return cut(lengths, counts, machine.micro_batch or int(counts.sum()), most_tokens, overhead)


def micro_batch(batch: int, wanted: int | None) -> int:
    """The largest divisor of a batch that is not above what the machine may hold; the batch itself where it says nothing."""
    most = min(batch, wanted or batch)
    return next(size for size in range(most, 0, -1) if batch % size == 0)


class Collate(Protocol):
    """Makes the tensors of some of a step's rows."""

    def __call__(self, rows: Rows, step_rows: Rows) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Batches:
    """Every micro-batch of a training, in order and of one size: what TRL's trainers take for their data loader."""

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
