"""How surprised a model is by right and by wrong solutions that somebody else wrote, on problems held out from training.

For a problem with recorded completions y_1..y_m judged correct, nll_correct is the mean over them of -log p(y_i | x) / |y_i|,
in nats per token under the measured model (teacher forcing, temperature 1); nll_wrong is the same over those judged wrong.
It moves long before a small model solves anything, and training on right solutions should lower nll_correct by more than
training on wrong ones does. It says nothing of what the model itself would write: read it beside pass@1.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from lib.evaluators.figures import Figures
from lib.evaluators.judged import scores
from lib.evaluators.measuring import Measuring
from lib.outcomes import outcomes
from lib.protocols import Evaluated, Tables
from lib.strategy import AnyStrategy
from lib.verifiers.answer import Answer
from lib.verifiers.likelihood import Likelihood


class NegativeLogLikelihood(Measuring):
    """Mean over problems, with its standard error; a problem without such completions is left out and `n` says so."""

    sampler: AnyStrategy
    """Where the solutions come from, such as Recorded(path=…)."""
    verifiers: tuple[AnyStrategy, ...] = (Answer(), Likelihood(measure="mean", model="measured"))
    """Who tells right from wrong, and the likelihood, whose score is the log-probability per token."""
    likelihood: str = "likelihood"
    """The name of the likelihood's verdicts."""

    def evaluate(self, tables: Tables) -> Evaluated:
        figures = Figures(self)
        for outcome in ("correct", "wrong"):
            found = sorted(self._scores(tables, outcome).items())
            figures.mean(f"nll_{outcome}", {problem: -math.fsum(own) / len(own) for problem, own in found})
        return figures.evaluated()

    def _per_problem(self) -> Iterable[str]:
        return ("nll_correct", "nll_wrong")

    def _scores(self, tables: Tables, outcome: str) -> dict[str, list[float]]:
        """Problem → log-probabilities per token of its completions with this outcome, in order of completion_id."""
        scored, said = scores(tables, self.likelihood), outcomes(tables, (self.likelihood,))
        found: dict[str, list[float]] = defaultdict(list)
        ids = zip(*(tables.completions[name].to_pylist() for name in ("completion_id", "problem_id")), strict=True)
        for completion, problem in sorted(ids):
            if completion in scored and said[completion] == outcome:
                found[problem].append(scored[completion])
        return found
