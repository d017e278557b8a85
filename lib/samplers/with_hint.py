"""STaR's rationalisation (Zelikman et al., "STaR: Bootstrapping Reasoning With Reasoning", 2022): where every attempt at
a problem failed, ask again with a hint from the gold answer in the prompt.

Each hinted completion names the failed attempt as its parent, so that training can put that attempt's prompt, which has
no hint, before the hinted completion. Left out: STaR gives the whole answer as the hint; a pattern can give less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from lib import records
from lib.protocols import Engine, Report, Tables
from lib.samplers.hints import TEMPLATE, WHOLE, Pattern, Template, hint_in, hinted
from lib.samplers.rows import Ask, sampled
from lib.strategy import Strategy


class WithHint(Strategy):
    """n hinted completions of each problem that was tried, has an answer, and has no completion with a correct verdict."""

    needs: ClassVar[tuple[str, ...]] = ("gold answers",)
    adds: ClassVar[tuple[str, ...]] = ("n", "max_new_tokens")

    n: int = Field(default=8, ge=1)
    """Hinted completions of each such problem."""
    temperature: float = Field(default=1.0, ge=0)
    """0 is greedy, and then all n are alike."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """The probability mass of the likeliest tokens that may be drawn; 1 leaves none out."""
    max_new_tokens: int = Field(default=24, ge=1)
    """Where a completion is cut off; the end-of-text token counts."""
    role: str = "policy"
    """Whose model answers."""
    template: Template = TEMPLATE
    """What takes the place of the prompt's last message: {prompt} is that message, {hint} the hint."""
    ending: str = ""
    """Taken off the end of {prompt} first, where the template itself writes it after the hint."""
    pattern: Pattern = WHOLE
    """Its first group, searched in the problem's answer, is the hint; a problem without a match is skipped."""

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        return sampled(self._asks(tables), tables, engines, self, seed, report)

    def owes(self, tables: Tables) -> int:
        return len(self._asks(tables)) * self.n

    def _asks(self, tables: Tables) -> list[Ask]:
        failed = first_failures(tables)
        asks = []
        for problem in tables.problems.select(["problem_id", "prompt", "answer"]).to_pylist():
            hint = hint_in(problem["answer"], self.pattern)
            if hint is not None and problem["problem_id"] in failed:
                messages = hinted(records.chat(problem["prompt"]), self.template, self.ending, hint)
                asks.append(Ask(problem["problem_id"], messages, turn=1, parent_id=failed[problem["problem_id"]]))
        return asks


def first_failures(tables: Tables) -> dict[str, str]:
    """Problem → its attempt of the lowest sample index, for problems that were tried and never judged correct.

    A verdict on a single step does not make its completion correct.
    """
    verdicts = tables.verdicts.select(["completion_id", "outcome", "step"]).to_pylist()
    correct = {v["completion_id"] for v in verdicts if v["outcome"] == "correct" and v["step"] is None}
    attempts = tables.completions.select(["problem_id", "sample_index", "completion_id"]).to_pylist()
    solved = {attempt["problem_id"] for attempt in attempts if attempt["completion_id"] in correct}
    attempts.sort(key=lambda attempt: (attempt["sample_index"], attempt["completion_id"]), reverse=True)
    return {a["problem_id"]: a["completion_id"] for a in attempts if a["problem_id"] not in solved}
