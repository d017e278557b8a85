"""Ids and random streams made from content, so that the same work draws the same numbers anywhere.

The stream is counter-based: number t of a stream is a pure function of (seed, t). It is SplitMix64 (Steele, Lea and
Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) started at the seed, so a completion's tokens do
not depend on which others it was sampled beside.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: one text per value. Raises TypeError for what JSON cannot hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """sha256, as 64 hex digits, of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def short_id(*parts: Any) -> str:
    """32 hex digits (128 bits) naming a row by what it is made of."""
    return digest(list(parts))[:32]


def seed_of(*parts: Any) -> int:
    """A 63-bit seed from any JSON values; it fits signed integer columns and every library's seed argument but 32-bit ones."""
    return int(digest(["seed", *parts])[:16], 16) >> 1


def uniforms(seeds: Sequence[int] | NDArray[np.uint64], start: int, count: int) -> NDArray[np.float64]:
    """Numbers `start` to `start + count` of each stream: (len(seeds), count) floats in [0, 1), 53 random bits each."""
    state = np.asarray(seeds, dtype=np.uint64)[:, None]  # (B, 1)
    counter = np.arange(start + 1, start + count + 1, dtype=np.uint64)[None, :]  # (1, T)
    with np.errstate(over="ignore"):
        z = state + counter * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
