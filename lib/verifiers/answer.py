r"""The final answer of a text compared with the problem's gold answer: as text, as exact numbers, and as mathematics.

Accepts `… so \boxed{0.75}` for the gold `3/4`, `the answer is $1,234.` for `1234`, `\boxed{x+1}` for `1+x`, and
`0.3333333` for `1/3`. Rejects `0.333` for `1/3`, `5 miles` for `5 km` and `5 or 7` for `5`.
How the answer is found stands in `lib.verifiers.final_answer`; a gold answer without any mark is taken whole. Numbers and
words are settled here; the rest goes to Math-Verify, gold first, each in a box of its own, in a process that can be killed
(`lib.verifiers.math_pool`): two seconds, then the verdict is undecided, as it is for a gold answer that cannot be read.
Does not catch: a right number for a wrong reason; a unit where the other side has none, and scale words with it (`5 million`
passes for `5`); `50%` passes for `50` and not for `0.5`; the subscript of a base; the order of a list (`2, 1` passes for
`1, 2`); `x=5` and `7=5` pass for `5`. An answer in words without a mark is not read, and counts as wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import math_pool
from lib.verifiers.exact_number import settled
from lib.verifiers.final_answer import LONGEST_SPAN, LONGEST_TEXT, Span, is_mathematics, is_words, last_number, legible, marked, normalised
from lib.verifiers.math_work import How, Pair
from lib.verifiers.verdicts import Judgement, verdicts_of

NO_GOLD = Judgement("undecided", "no gold answer")
BAD_GOLD = Judgement("undecided", "unreadable gold answer")
CUT_OFF = Judgement("wrong", "cut off by the length limit")
NO_ANSWER = Judgement("wrong", "no readable answer")


class Answer(Strategy):
    """One verdict per completion; undecided where it was not sampled or the gold answer is missing or unreadable."""

    name: ClassVar[str] = "answer"
    knows_gold: ClassVar[bool] = True

    symbolic: bool = True
    """Whether what is neither a number nor words is compared by Math-Verify; otherwise such answers must be the same text."""
    reader: Literal["span", "math_verify"] = "span"
    """Who finds the answers: the rules above, or Math-Verify in the whole text, and in the whole gold answer."""
    targets: tuple[Literal["latex", "expr", "string"], ...] = ("latex", "expr")
    """What Math-Verify looks for: LaTeX, plain expressions, the letters A to D."""
    float_rounding: int = Field(default=6, ge=0, le=30)
    """Decimals after which a number written with a decimal point may differ from the other."""
    numeric_precision: int = Field(default=15, ge=1, le=100)
    """Digits to which Math-Verify evaluates what it compares by value."""
    strict: bool = True
    """Whether variables are told apart by name, and sets from tuples."""
    allow_set_relation_comp: bool = False
    """Whether an inequality may answer for a gold interval; a gold inequality always admits the interval."""

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        golds = dict(zip(tables.problems["problem_id"].to_pylist(), tables.problems["answer"].to_pylist(), strict=True))
        columns = (tables.completions[name].to_pylist() for name in ("problem_id", "text", "finish_reason"))
        asked = [(text, golds.get(problem), finish) for problem, text, finish in zip(*columns, strict=True)]
        return verdicts_of(tables.completions, self.name, self.judge(asked))

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def judge(self, asked: Sequence[tuple[str, str | None, str]]) -> list[Judgement]:
        """The verdict on each (text, gold answer, finish reason). Never raises for any text; linear in its length.

        Where the length limit cut the text off, only a marked answer counts: the last number of an unfinished thought is none.
        """
        read = self._whole if self.reader == "math_verify" else self._spans
        return self._settled([read(text, gold, finish) for text, gold, finish in asked], wrapped=self.reader == "span")

    def compare(self, pairs: Sequence[tuple[str, str]]) -> list[Judgement]:
        """The verdict on each (gold answer, answer), both as spans that stand alone, such as `1/2` and `0.5`."""
        return self._settled([self._pair(normalised(gold), gold, answer) for gold, answer in pairs], wrapped=True)

    def _settled(self, made: list[Judgement | Pair], *, wrapped: bool) -> list[Judgement]:
        """Judgements as they are, and pairs as Math-Verify judges them."""
        pairs = [one for one in made if not isinstance(one, Judgement)]
        if not pairs:
            return [one for one in made if isinstance(one, Judgement)]
        how = How(wrapped, self.targets, self.float_rounding, self.numeric_precision, self.strict, self.allow_set_relation_comp)
        found = iter(math_pool.compare(pairs, how))
        judgements = []
        for one in made:
            if isinstance(one, Judgement):
                judgements.append(one)
                continue
            equal, reason = next(found)
            judgements.append(Judgement("undecided", reason) if equal is None else _said(equal, _shown(one[1]), _shown(one[0])))
        return judgements

    def _whole(self, text: str, gold: str | None, finish_reason: str) -> Judgement | Pair:
        if finish_reason == "error":
            return Judgement("undecided", "not sampled")
        if gold is None:
            return NO_GOLD
        return gold[-LONGEST_TEXT:], text[-LONGEST_TEXT:]

    def _spans(self, text: str, gold: str | None, finish_reason: str) -> Judgement | Pair:
        if finish_reason == "error":
            return Judgement("undecided", "not sampled")
        if gold is None:
            return NO_GOLD
        whole, wanted = _wanted(gold)
        if wanted is None:
            return BAD_GOLD
        found = marked(text)
        if found is None and finish_reason == "length":
            return CUT_OFF
        found = found or last_number(text)
        return self._pair(wanted, whole, found.text) if found else NO_ANSWER

    def _pair(self, wanted: str | None, gold: str, answer: str) -> Judgement | Pair:
        """The verdict on two spans, the first also in its normalised form, or what Math-Verify is to compare."""
        if wanted is None:
            return BAD_GOLD
        found = normalised(answer)
        if found is None:
            return NO_ANSWER
        if found == wanted:
            return Judgement("correct", f"'{found}' is the answer")
        equal = settled(wanted, found, self.float_rounding)
        if equal is not None:
            return _said(equal, found, wanted)
        if not self.symbolic or is_words(found) or is_words(wanted) or not (is_mathematics(answer) and is_mathematics(gold)):
            return _said(False, found, wanted)
        return legible(gold), legible(answer)


@lru_cache(maxsize=4096)
def _wanted(gold: str) -> tuple[str, str | None]:
    """A gold answer's span, which is all of it where nothing is marked, and its normalised form."""
    span = (marked(gold) or Span(gold, "whole")).text
    return span, normalised(span)


def _said(is_equal: bool, found: str, wanted: str) -> Judgement:
    return Judgement("correct", f"'{found}' equals '{wanted}'") if is_equal else Judgement("wrong", f"'{found}' is not '{wanted}'")


def _shown(text: str) -> str:
    """The end of a long text, where the answer stands."""
    return text if len(text) <= LONGEST_SPAN else f"…{text[-LONGEST_SPAN:]}"
