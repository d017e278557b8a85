"""Whether a sampler finds a correct completion at all, and what it draws for it: to set samplers side by side in one recipe.

    found    share of problems with at least one correct completion among all that were drawn, over those with a decided one
    tokens   tokens drawn for a problem; a tree's nodes share what their parents had, which counts once

With `name="tree"` they are tree_found and tree_tokens, beside those of another Found over another sampler.
"""

from __future__ import annotations

from collections.abc import Iterable

from lib.evaluators.figures import Figures
from lib.evaluators.judged import drawn_tokens, judged
from lib.evaluators.measuring import Measuring
from lib.protocols import Evaluated, Tables


class Found(Measuring):
    """Problems that a sampler solves with all that it draws, and the tokens that it draws for each."""

    def evaluate(self, tables: Tables) -> Evaluated:
        rows = {problem: drawn for problem, drawn in judged(tables).items() if drawn}
        tokens = drawn_tokens(tables)
        known = {problem: drawn for problem, drawn in rows.items() if any(row.is_decided for row in drawn)}
        figures = Figures(self)
        figures.mean("found", {problem: float(any(row.is_correct for row in drawn)) for problem, drawn in known.items()})
        figures.mean("tokens", {problem: float(sum(tokens[row.completion_id] for row in drawn)) for problem, drawn in rows.items()})
        return figures.evaluated()

    def _per_problem(self) -> Iterable[str]:
        return ("found", "tokens")
