"""Texts that run in circles: the share of n-grams that stand in the text already (seq-rep-n of Welleck et al. 2020).

    repeated share = 1 − distinct n-grams / n-grams

Accepts `a b c d e f` (no 4-gram twice). Rejects `no no no no no no no no` (5 4-grams, one distinct: 0.8). A text of fewer than
n words has no n-gram and passes.
Does not catch a loop longer than the text shows, one that changes a word each time, nor, counted in words, a single word or
a script without spaces that repeats itself (count characters). A table or poem with a refrain may be rejected.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from pydantic import Field

from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.length import Unit, pieces
from lib.verifiers.texts import Text, judge_each
from lib.verifiers.verdicts import Judgement

LONGEST = 100_000
"""Characters, words or tokens that are read, counted from the end, where loops are."""


class Repetition(Strategy):
    """One verdict per completion; undecided where it was not sampled."""

    name: str = "repetition"
    """The name of its verdicts."""
    n: int = Field(default=4, ge=1, le=100)
    """The length of an n-gram."""
    unit: Unit = "words"
    """What an n-gram is made of: characters, words or tokens."""
    most: float = Field(default=0.5, ge=0, le=1)
    """The largest share of repeated n-grams that is right."""

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        return judge_each(tables, self.name, self._judge)

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def _judge(self, text: Text) -> Judgement:
        sequence = pieces(text, self.unit)[-LONGEST:]
        total = len(sequence) - self.n + 1
        if total < 1:
            return Judgement("correct", f"fewer than {self.n} {self.unit}")
        distinct = len({tuple(sequence[start : start + self.n]) for start in range(total)})
        share = 1 - distinct / total
        return Judgement("correct" if share <= self.most else "wrong", f"{share:.3f} of {total} {self.n}-grams repeated")
