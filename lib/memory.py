"""How a train stage deals with examples of earlier rounds (K.buffer): which it learns too, and which it lets go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pyarrow as pa
from pydantic import Field

from lib import records, seeds
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


def kept(parts: Sequence[pa.Table], rows: int, evict: str, seed: int) -> tuple[pa.Table, pa.Table]:
    """At most so many of the examples, whose tables come oldest first, in the order given; and rows of records.EVICTED, the others.

    The oldest go, or those with the highest random numbers: each is a function of the seed, the same in all rounds, and the
    example's id. So what stays is a uniform sample of all that there ever were, as a reservoir's is (Vitter 1985), and what
    was evicted in one round is evicted in the next.
    """
    given = [(place, name) for place, part in enumerate(parts) for name in part["example_id"].to_pylist()]
    if evict == "oldest" or len(given) <= rows:
        stay = [*range(max(0, len(given) - rows), len(given))]
    else:
        draws = [seeds.digest([seed, name]) for _, name in given]
        stay = sorted(sorted(range(len(draws)), key=draws.__getitem__)[:rows])
    went = sorted({*range(len(given))} - {*stay})
    evicted = records.EVICTED.table([{"place": given[n][0], "example_id": given[n][1]} for n in went])
    return pa.concat_tables(parts).take(pa.array(stay, pa.int64())), evicted
