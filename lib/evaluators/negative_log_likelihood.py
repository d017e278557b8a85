"""How surprised a model is by right and by wrong solutions that somebody else wrote, on problems held out from training.

For a problem with recorded completions y_1..y_m judged correct, nll_correct is the mean over them of -log p(y_i | x) / |y_i|,
in nats per token under the measured model (teacher forcing, temperature 1); nll_wrong is the same over those judged wrong.
It moves long before a small model solves anything, and training on right solutions should lower nll_correct by more than
training on wrong ones does. It says nothing of what the model itself would write: read it beside pass@1.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from lib.evaluators.tally import mean_row
from lib.protocols import Evaluated, Tables
from lib.strategy import AnyStrategy, Strategy
from lib.verifiers.answer import Answer
from lib.verifiers.likelihood import Likelihood


class NegativeLogLikelihood(Strategy):
    """Mean over problems, with its standard error; a problem without such completions is left out and `n` says so."""

    sampler: AnyStrategy
    """Where the solutions come from, such as Recorded(path=…)."""
    verifiers: tuple[AnyStrategy, ...] = (Answer(), Likelihood(measure="mean", model="measured"))
    """Who tells right from wrong, and the likelihood, whose score is the log-probability per token."""
    likelihood: str = "likelihood"
    """The name of the likelihood's verdicts."""

    def evaluate(self, tables: Tables) -> Evaluated:
        metrics: list[dict[str, Any]] = []
        items: list[dict[str, Any]] = []
        for outcome in ("correct", "wrong"):
            metric = f"nll_{outcome}"
            means = {problem: -math.fsum(scores) / len(scores) for problem, scores in sorted(self._scores(tables, outcome).items())}
            metrics += mean_row("NegativeLogLikelihood", metric, list(means.values()))
            items += [
                {"evaluator": "NegativeLogLikelihood", "metric": metric, "problem_id": problem, "value": value}
                for problem, value in means.items()
            ]
        return Evaluated(metrics, items)

    def _scores(self, tables: Tables, outcome: str) -> dict[str, list[float]]:
        """Problem → log-probabilities per token of its completions with this outcome, in order of completion_id."""
        scored: dict[str, float] = {}
        judged: dict[str, set[str]] = defaultdict(set)
        columns = (tables.verdicts[name].to_pylist() for name in ("completion_id", "verifier", "outcome", "score"))
        for completion, verifier, said, score in zip(*columns, strict=True):
            if verifier == self.likelihood:
                if score is not None:
                    scored[completion] = score
            elif said is not None:
                judged[completion].add(said)
        found: dict[str, list[float]] = defaultdict(list)
        ids = zip(*(tables.completions[name].to_pylist() for name in ("completion_id", "problem_id")), strict=True)
        for completion, problem in sorted(ids):
            if completion in scored and judged[completion] == {outcome}:
                found[problem].append(scored[completion])
        return found
