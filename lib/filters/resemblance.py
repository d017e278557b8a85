"""How alike two texts are: Jaccard of their word n-grams, and ROUGE-L (Lin 2004).

    jaccard(a, b)  |A ∩ B| / |A ∪ B|, A and B the sets of n-grams (of all its words where a text has fewer than n)
    rouge_l(a, b)  2 L / (|a| + |b|), L the length of the longest common subsequence of words: the F-measure with β = 1 of
                   P = L / |a| and R = L / |b|

L is found a row of the dynamic programme at a time, the row as the bits of one integer (Hyyrö 2004, "Bit-parallel LCS-length
computation revisited"), so memory is linear. Words are lib.db's `words`: small letters without punctuation; no stemming.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any


def longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    places: dict[str, int] = {}
    for i, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << i
    full = (1 << len(a)) - 1
    row = full  # a 0 where the length grows by one
    for word in b:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & full
    return len(a) - row.bit_count()


def rouge_l(a: Sequence[str], b: Sequence[str]) -> float:
    """The F-measure; 1 for two empty texts."""
    return 2 * longest_common(a, b) / (len(a) + len(b)) if a or b else 1.0


def occurrences(words: Sequence[str]) -> frozenset[tuple[str, int]]:
    """Each word with how often it came before, so that sets share as much as the texts do in any order: at least L."""
    seen: Counter[str] = Counter()
    found = []
    for word in words:
        found.append((word, seen[word]))
        seen[word] += 1
    return frozenset(found)


def n_grams(words: Sequence[str], n: int) -> frozenset[tuple[str, ...]]:
    """The set of runs of n words."""
    return frozenset(tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1)))


def jaccard(a: frozenset[Any], b: frozenset[Any]) -> float:
    """Of two sets that are not both empty."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)
