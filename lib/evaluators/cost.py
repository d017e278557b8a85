"""What answers cost in tokens: each one, each correct one, and what a budget would have bought.

    tokens_per_completion   mean over problems of the mean length
    tokens_per_correct      Σ tokens / Σ correct over all problems, everything drawn paid for, with an error by the delta method
    accuracy_within_B       share of decided completions that are correct and at most B tokens long, mean over problems

A tree's completions are charged for what was drawn for them, without the tokens that their parent node had.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import field_validator

from lib.errors import UserError
from lib.evaluators.figures import Figures
from lib.evaluators.judged import drawn_tokens, judged
from lib.evaluators.measuring import Measuring
from lib.protocols import Evaluated, Tables
from lib.samplers.independent import Independent
from lib.strategy import AnyStrategy


class Cost(Measuring):
    """Tokens for a completion and for a correct one, and accuracy within budgets."""

    sampler: AnyStrategy = Independent(n=8, temperature=1.0)
    """Where the completions come from."""
    budgets: tuple[int, ...] = ()
    """Tokens that a completion may have to count as correct."""

    @field_validator("budgets")
    @classmethod
    def _is_some(cls, budgets: tuple[int, ...]) -> tuple[int, ...]:
        if any(budget < 1 for budget in budgets):
            raise UserError(f"Cost: a budget of {min(budgets)} tokens; give 1 or more")
        return budgets

    def evaluate(self, tables: Tables) -> Evaluated:
        rows = {problem: drawn for problem, drawn in judged(tables).items() if drawn}
        tokens = drawn_tokens(tables)
        spent = {problem: float(sum(tokens[row.completion_id] for row in drawn)) for problem, drawn in rows.items()}
        figures = Figures(self)
        figures.mean("tokens_per_completion", {problem: spent[problem] / len(drawn) for problem, drawn in rows.items()})
        figures.ratio("tokens_per_correct", {p: (spent[p], float(sum(row.is_correct for row in drawn))) for p, drawn in rows.items()})
        known = {problem: decided for problem, drawn in rows.items() if (decided := [row for row in drawn if row.is_decided])}
        for budget in self.budgets:
            within = {p: sum(row.is_correct and row.tokens <= budget for row in drawn) / len(drawn) for p, drawn in known.items()}
            figures.mean(f"accuracy_within_{budget}", within)
        return figures.evaluated()

    def _per_problem(self) -> Iterable[str]:
        return ("tokens_per_completion", *(f"accuracy_within_{budget}" for budget in self.budgets))
