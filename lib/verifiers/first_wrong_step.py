"""The number of a Countdown attempt's first wrong step, in the built-in model's small language: feedback that a prompt can show.

Accepts `8+1=9;9*5=45` for `1,5,8>45:`, with the reason `0`. Rejects `8+1=9;9+5=45`, with the reason `2`, the step that goes wrong
(lib.countdown_steps), and `8*5=40;40+5=45` with `1`, since 40 and 1 do not make 45. Cannot catch what lib.verifiers.countdown
cannot. Undecided: what was not sampled, and a problem that is not of this form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from lib import countdown_roles
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import scores
from lib.verifiers.verdicts import Judgement, verdicts_of


class FirstWrongStep(Strategy):
    """One verdict per completion; its reason is the number alone."""

    name: ClassVar[str] = "first_wrong_step"
    knows_gold: ClassVar[bool] = True

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        problems = scores.problems_of(tables)
        return verdicts_of(
            tables.completions, self.name, [_judged(row, problems[row["problem_id"]]["text"]) for row in scores.rows_of(tables)]
        )

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows


def _judged(row: scores.Row, prompt: str) -> Judgement:
    if row["finish_reason"] == "error":
        return Judgement("undecided", "not sampled")
    wrong = countdown_roles.judged(prompt, row["text"])
    if wrong is None:
        return Judgement("undecided", "unreadable problem")
    return Judgement("wrong" if wrong else "correct", str(wrong))
