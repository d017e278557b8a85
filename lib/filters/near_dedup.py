"""Near duplicates by comparing every pair: ROUGE-L, as Self-Instruct does (Wang et al. 2023), or Jaccard of n-grams (F.dedup).

Exact, and at worst quadratic in the completions compared: for those of one problem, or a small table. MinhashDedup is for
large ones. Pairs are measured only if they have enough words, or n-grams, in common: both measures are at most
2 |A ∩ B| / (|A| + |B|), with A and B the n-grams of the two texts, or their words counted as often as they occur.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lib.errors import UserError
from lib.filters.resemblance import jaccard, n_grams, occurrences, rouge_l
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows

Items = frozenset[Any]

NOTHING: Items = frozenset({None})
"""What an empty text has in common with another."""

MOST_WORDS = 2_000
"""Words of a text that are compared; the rest is not looked at."""

MOST_KEPT = 10_000
"""Texts that one text can be compared with."""


class NearDedup(Strategy):
    """Drops a completion that is too like one that stays, in the order of completion_id: `near duplicate`.

    Only the first 2,000 words of a text count. Does not catch paraphrases in other words.
    """

    measure: Literal["rouge_l", "jaccard"] = "rouge_l"
    """How likeness is measured (lib.filters.resemblance)."""
    threshold: float = Field(0.7, gt=0, le=1)
    """A likeness of this or more is a duplicate."""
    n: int = Field(3, ge=1)
    """Words of an n-gram, for jaccard."""
    across: Literal["problem", "table"] = "problem"
    """Whether completions of one problem are compared, or all."""

    def filter(self, rows: Rows) -> Relation:
        kept = _Kept()
        current: str | None = None

        def reason(scope: str, words: list[str]) -> str | None:
            nonlocal kept, current
            if scope != current:
                kept, current = _Kept(), scope
            items = n_grams(words, self.n) if self.measure == "jaccard" else occurrences(words)
            if any(self._alike(words, items, *other) for other in kept.sharing(items, self.threshold)):
                return "near duplicate"
            kept.add(words, items)
            return None

        scope = "problem_id" if self.across == "problem" else "''"
        compared = f"words(text)[:{MOST_WORDS}]"
        return rows.each(f"SELECT completion_id, {scope} AS scope, {compared} FROM completions ORDER BY scope, completion_id", reason)

    def _alike(self, words: list[str], items: Items, other_words: list[str], other_items: Items) -> bool:
        likeness = jaccard(items, other_items) if self.measure == "jaccard" else rouge_l(words, other_words)
        return likeness >= self.threshold


class _Kept:
    """The texts that stay so far, found again by what is in them."""

    def __init__(self) -> None:
        self.texts: list[tuple[list[str], Items]] = []
        self.places: defaultdict[object, list[int]] = defaultdict(list)

    def add(self, words: list[str], items: Items) -> None:
        if len(self.texts) == MOST_KEPT:
            raise UserError(f"NearDedup compares every pair, and more than {MOST_KEPT} texts are to stay together; use MinhashDedup")
        for item in items or NOTHING:
            self.places[item].append(len(self.texts))
        self.texts.append((words, items))

    def sharing(self, items: Items, threshold: float) -> Iterator[tuple[list[str], Items]]:
        """Those whose bound on the likeness reaches the threshold, the first that stayed first."""
        shared = Counter(chain.from_iterable(self.places.get(item, ()) for item in items or NOTHING))
        for place in sorted(shared):
            words, others = self.texts[place]
            if 2 * shared[place] >= threshold * (len(items) + len(others)):
                yield words, others
