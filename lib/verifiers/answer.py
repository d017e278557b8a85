r"""The final answer of a text compared exactly with the problem's gold answer, as numbers or as case-folded text.

Accepts `… so \boxed{0.75}` for the gold `3/4`, and `the answer is $1,234.` for `1234`. Rejects `0.333` for `1/3`.
How the answer is found stands in `lib.verifiers.final_answer`; a gold answer without any mark is taken whole.
Does not catch: a right number for a wrong reason; algebra (`x+1` and `1+x` differ); units and scale words, which are
dropped where the gold is a number (`5 million` passes for `5`); `50%` passes for `50` and not for `0.5`. An answer in words
without a mark is not read, and counts as wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.final_answer import Span, last_number, marked, normalised, number, number_with_unit
from lib.verifiers.verdicts import Judgement, verdicts_of


class Answer(Strategy):
    """One verdict per completion; undecided where it was not sampled or the gold answer is missing or unreadable."""

    name: ClassVar[str] = "answer"

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        golds = dict(zip(tables.problems["problem_id"].to_pylist(), tables.problems["answer"].to_pylist(), strict=True))
        columns = (tables.completions[name].to_pylist() for name in ("problem_id", "text", "finish_reason"))
        judgements = [judge(text, golds.get(problem), finish) for problem, text, finish in zip(*columns, strict=True)]
        return verdicts_of(tables.completions, self.name, judgements)

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows


def judge(text: str, gold: str | None, finish_reason: str) -> Judgement:
    """The verdict on one text. Never raises; linear in the length of the text.

    Where the length limit cut the text off, only a marked answer counts: the last number of an unfinished thought is none.
    """
    if finish_reason == "error":
        return Judgement("undecided", "not sampled")
    if gold is None:
        return Judgement("undecided", "no gold answer")
    wanted = normalised((marked(gold) or Span(gold, has_unit=True)).text)
    if wanted is None:
        return Judgement("undecided", "unreadable gold answer")
    span = marked(text)
    if span is None and finish_reason == "length":
        return Judgement("wrong", "cut off by the length limit")
    span = span or last_number(text)
    found = normalised(span.text) if span else None
    if span is None or found is None:
        return Judgement("wrong", "no readable answer")
    if _equal(found, wanted, span.has_unit):
        return Judgement("correct", f"'{found}' is the answer")
    return Judgement("wrong", f"'{found}' is not '{wanted}'")


def _equal(found: str, wanted: str, has_unit: bool) -> bool:
    exact = number(wanted)
    if exact is None or found == wanted:
        return found == wanted
    return exact == number(found) or (has_unit and exact == number_with_unit(found))
