"""Accuracy of the most likely completion."""

from __future__ import annotations

from lib.evaluators.tally import mean_row, share_row, tallies
from lib.protocols import Evaluated, Tables
from lib.samplers.independent import Independent
from lib.strategy import AnyStrategy, Strategy


class GreedyAccuracy(Strategy):
    """Share of problems whose greedy completion is correct, over those where it is decided."""

    sampler: AnyStrategy = Independent(n=1, temperature=0.0)
    """Where the completions come from."""
    verifiers: tuple[AnyStrategy, ...] = ()
    """Who judges them; empty: the problem set's own."""

    def evaluate(self, tables: Tables) -> Evaluated:
        found = tallies(tables)
        drawn = sum(t.drawn for t in found)
        values = {t.problem_id: t.pass_at(1) for t in found if t.decided}
        metrics = [
            *mean_row("GreedyAccuracy", "greedy_accuracy", list(values.values())),
            *share_row("GreedyAccuracy", "undecided_share", drawn - sum(t.decided for t in found), drawn),
        ]
        row = {"evaluator": "GreedyAccuracy", "metric": "greedy_accuracy"}
        return Evaluated(metrics, [{**row, "problem_id": name, "value": value} for name, value in values.items()])
