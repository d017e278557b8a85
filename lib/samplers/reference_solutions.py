"""Each problem's own worked solution, written down as a completion: what a first model is warm-started on.

Nobody sampled these tokens. So `ids_source` is `retokenised`, `role` is `reference`, temperature and seed are 0, and
`logprobs` is empty: a reader that needs one log-probability a token must not be given these rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from lib import records, seeds
from lib.protocols import Engine, Report, Tables
from lib.samplers.hints import TEMPLATE, WHOLE, Pattern, Template, hint_in, hinted
from lib.samplers.rows import Ask, Drawn, engine_of, named
from lib.strategy import Strategy


class ReferenceSolutions(Strategy):
    """One completion for each problem that has an answer: the answer, followed by the end of text."""

    needs: ClassVar[tuple[str, ...]] = ("gold answers",)
    draws: ClassVar[bool] = False
    """These tokens cost nothing: no model writes them here."""
    role: str = "policy"
    """Whose tokenizer and chat template write the rows."""
    hint_share: float = Field(default=0.0, ge=0, le=1)
    """The share of problems, chosen by their id, whose prompt shows a hint, so that the model learns what a hint is."""
    template: Template = TEMPLATE
    """What takes the place of a hinted prompt's last message: {prompt} is that message, {hint} the hint."""
    ending: str = ""
    """Taken off the end of {prompt} first, where the template itself writes it after the hint."""
    pattern: Pattern = WHOLE
    """Its first group, searched in the problem's answer, is the hint; a problem without a match gets none."""

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        engine = engine_of(engines, self.role)
        solved = [p for p in tables.problems.select(["problem_id", "prompt", "answer"]).to_pylist() if p["answer"] is not None]
        rows = [self._row(problem, engine) for problem in solved]
        report(len(rows), len(rows))
        return records.COMPLETIONS.table(rows)

    def owes(self, tables: Tables) -> int:
        return tables.problems.num_rows - int(tables.problems["answer"].null_count)

    def _row(self, problem: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
        messages = records.chat(problem["prompt"])
        hint = hint_in(problem["answer"], self.pattern)
        if hint is not None and self._is_hinted(problem["problem_id"]):
            messages = hinted(messages, self.template, self.ending, hint)
        ask = Ask(problem["problem_id"], messages)
        prompt_ids, ids = engine.render(messages), engine.encode(problem["answer"])
        undrawn = Drawn(seed=0, sample_index=0, temperature=0.0, top_p=1.0)
        return named(ask, engine, "reference", undrawn, prompt_ids, ids, "stop") | {
            "group_id": seeds.short_id(0, ask.problem_id, engine.model_id, "reference"),
            "ids_source": "retokenised",
            "logprobs": [],
        }

    def _is_hinted(self, problem_id: str) -> bool:
        return seeds.seed_of("hinted", problem_id) < self.hint_share * 2.0**63
