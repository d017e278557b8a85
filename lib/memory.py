"""How a train stage deals with examples of earlier rounds (K.buffer): which it learns too, and which it lets go."""

from __future__ import annotations

from typing import Literal

import pyarrow as pa
from pydantic import Field

from lib import seeds
from lib.strategy import Settings


class Memory(Settings):
    """What a train stage learns besides this round's examples, and how much of it all."""

    accumulate: Literal["no", "accepted", "all"] = "no"
    """Whether it also learns the examples of earlier rounds: none, those of accepted rounds, or all."""
    keep_rounds: int | None = Field(None, ge=1)
    """From how many earlier rounds examples stay, the newest of them, each with all its attempts; None: from all."""
    keep_rows: int | None = Field(None, ge=1)
    """How many examples stay in all, this round's among them and what a trainer replays apart; None: all."""
    evict: Literal["oldest", "random"] = "oldest"
    """Which go where there are more: the oldest, or by a random number that each keeps, so that what went stays away."""


def kept(examples: pa.Table, rows: int, evict: str, seed: int) -> pa.Table:
    """At most so many of the examples, which come oldest first, in the order given.

    The oldest go, or those with the highest random numbers: each is a function of the seed, the same in all rounds, and the
    example's id. So what stays is a uniform sample of all that there ever were, as a reservoir's is (Vitter 1985), and what
    was evicted in one round is evicted in the next.
    """
    if evict == "oldest" or examples.num_rows <= rows:
        return examples.slice(max(0, examples.num_rows - rows))
    draws = [seeds.digest([seed, name]) for name in examples["example_id"].to_pylist()]
    return examples.take(sorted(sorted(range(len(draws)), key=draws.__getitem__)[:rows]))
