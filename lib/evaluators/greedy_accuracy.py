"""Accuracy of the most likely completion."""

from __future__ import annotations

from collections.abc import Iterable

from lib.evaluators.figures import Figures
from lib.evaluators.measuring import Measuring
from lib.evaluators.tally import tallies
from lib.protocols import Evaluated, Tables
from lib.samplers.independent import Independent
from lib.strategy import AnyStrategy


class GreedyAccuracy(Measuring):
    """Share of problems whose greedy completion is correct, over those where it is decided."""

    sampler: AnyStrategy = Independent(n=1, temperature=0.0)
    """Where the completions come from."""

    def evaluate(self, tables: Tables) -> Evaluated:
        found = tallies(tables)
        figures = Figures(self)
        figures.mean("greedy_accuracy", {t.problem_id: t.pass_at(1) for t in found if t.decided})
        figures.ratio("undecided_share", {t.problem_id: (t.drawn - t.decided, t.drawn) for t in found})
        return figures.evaluated()

    def _per_problem(self) -> Iterable[str]:
        return ("greedy_accuracy",)
