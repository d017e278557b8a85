"""Which split a Countdown problem belongs to: a hash of its numbers and target alone, whatever the seed, the settings or who made it."""

from __future__ import annotations

from collections.abc import Sequence

from lib import seeds

SPLITS = ("validation", "gate", "test", "train")
BUCKETS = 12
"""Hash buckets; the first three belong to the held-out splits in the order of SPLITS, the others to train."""


def split_of(numbers: Sequence[int], target: int) -> str:
    """The split of a problem, whatever the order of its numbers."""
    bucket = seeds.seed_of("split", "countdown", sorted(numbers), target) % BUCKETS
    return SPLITS[min(bucket, len(SPLITS) - 1)]
