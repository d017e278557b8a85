"""Whether the steps of a Countdown solution so far are right and can still lead to the target (Ni et al. 2023).

A partial solution is right if it is the beginning of some whole one; with three to six numbers that is found by searching
them all (lib.countdown_reach), and no worked solution is read.

Accepts `8+1=9;` for `1,5,8>45:`, since 9 and 5 make 45. Rejects `8*5=40;`, from which 1 does not lead there. Does not catch
a detour that costs nothing, such as `5*1=5`. Undecided: a problem that is no Countdown, or has more numbers than are searched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from lib.countdown_reach import MOST_NUMBERS, can_reach
from lib.countdown_steps import left_after
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.arithmetic import Puzzle
from lib.verifiers.countdown import questions
from lib.verifiers.verdicts import Judgement, verdicts_of


class Reaches(Strategy):
    """One verdict per completion, whole or partial; the steps are those that end with `;` or with the text."""

    knows_gold: ClassVar[bool] = True

    name: str = "reaches"
    """The name of its verdicts."""

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        asked = questions(tables.problems)
        columns = (tables.completions[name].to_pylist() for name in ("problem_id", "text", "finish_reason"))
        judgements = [_judge(text, finish, asked[problem]) for problem, text, finish in zip(*columns, strict=True)]
        return verdicts_of(tables.completions, self.name, judgements)

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows


def _judge(text: str, finish_reason: str, asked: tuple[tuple[int, ...], int] | None) -> Judgement:
    if finish_reason == "error":
        return Judgement("undecided", "not sampled")
    if asked is None or isinstance(asked, Puzzle) or len(asked[0]) > MOST_NUMBERS:
        return Judgement("undecided", "no Countdown problem in steps that can be searched")
    left = left_after(text.removesuffix(";"), asked[0])
    if isinstance(left, str):
        return Judgement("wrong", left)
    able = can_reach(left, asked[1])
    return Judgement("correct" if able else "wrong", f"{', '.join(map(str, left))} {'can' if able else 'cannot'} make {asked[1]}")
