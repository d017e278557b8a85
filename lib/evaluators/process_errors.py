"""How well a verifier of steps finds the first wrong one, by the gold verifiers' own verdicts on steps (ProcessBench, Zheng et al. 2024).

    error_located  a: the share of solutions with a wrong step whose first wrong step it names
    no_error       b: the share of solutions without a wrong step in which it finds none
    process_f1     2 a b / (a + b), a and b over all completions
    step_accuracy  the share of steps that it judges as the gold verifiers do, among those that they judge

A step's verdict is its outcome, or where there is only a score, correct from `threshold` on. What the scorer leaves undecided,
it has not found; what the gold verifiers leave undecided, before the first wrong step, is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from lib.evaluators.figures import Figures
from lib.evaluators.judged import judged
from lib.evaluators.measuring import Measuring
from lib.protocols import Evaluated, Tables
from lib.roles import scorer_name
from lib.statistics import jackknife_error
from lib.strategy import AnyStrategy

Floats = NDArray[np.float64]

Steps = dict[int, bool | None]
"""Number of a step → whether it is right; None where nobody can say."""


class ProcessErrors(Measuring):
    """The scorer's verdicts on steps against those of the gold verifiers; both must number the steps alike."""

    scorer: AnyStrategy
    """The verifier of steps that is measured: Judge(form="first_error"), Process(…)."""
    threshold: float = 0.5
    """The least score of a right step."""

    def evaluate(self, tables: Tables) -> Evaluated:
        name = scorer_name(self)
        gold = self._steps(tables, lambda verifier: verifier != name)
        found = self._steps(tables, lambda verifier: verifier == name)
        located: dict[str, list[tuple[float, float]]] = defaultdict(list)  # (has an error, was found as it is)
        agreed: dict[str, list[float]] = defaultdict(list)
        for problem, rows in judged(tables).items():
            for completion in (row.completion_id for row in rows if row.completion_id in gold):
                true, said = gold[completion], found.get(completion, {})
                agreed[problem] += [float(said.get(step) is right) for step, right in true.items() if right is not None]
                if (first := _first_error(true)) is not None:
                    located[problem].append((float(first > 0), float(_first_error(said) == first)))
        figures = Figures(self)
        for metric, has_error in (("error_located", 1.0), ("no_error", 0.0)):
            hits = {problem: [hit for kind, hit in pairs if kind == has_error] for problem, pairs in located.items()}
            figures.mean(metric, {problem: sum(own) / len(own) for problem, own in hits.items() if own})
        groups = [np.array(pairs) for pairs in located.values()]
        if groups and (value := _f1(np.concatenate(groups))) is not None:
            figures.figure("process_f1", value, sum(map(len, groups)), jackknife_error(groups, _f1))
        figures.mean("step_accuracy", {problem: sum(own) / len(own) for problem, own in agreed.items() if own})
        return figures.evaluated()

    def _steps(self, tables: Tables, wanted: Callable[[str], bool]) -> dict[str, Steps]:
        """Completion → its steps as these verifiers judge them; of several the worst."""
        found: dict[str, Steps] = defaultdict(dict)
        columns = (tables.verdicts[name].to_pylist() for name in ("completion_id", "step", "verifier", "outcome", "score"))
        for completion, step, verifier, outcome, score in zip(*columns, strict=True):
            if step is not None and wanted(verifier):
                right = self._right(outcome, score)
                steps = found[completion]
                steps[step] = right if step not in steps else _worse(steps[step], right)
        return found

    def _right(self, outcome: str | None, score: float | None) -> bool | None:
        if outcome is not None:
            return {"correct": True, "wrong": False}.get(outcome)
        return None if score is None else score >= self.threshold

    def _per_problem(self) -> Iterable[str]:
        return ("error_located", "no_error", "step_accuracy")


def _worse(one: bool | None, other: bool | None) -> bool | None:
    return False if False in (one, other) else None if None in (one, other) else True


def _first_error(steps: Mapping[int, bool | None]) -> int | None:
    """The number of the first wrong step, 0 where all are right; None where that cannot be said."""
    for step in sorted(steps):
        if steps[step] is not True:
            return None if steps[step] is None else step
    return 0 if steps else None


def _f1(pairs: Floats) -> float | None:
    """From rows (has an error, was found as it is); None where one of the two kinds is missing."""
    with_error = pairs[:, 0] == 1.0
    if with_error.all() or not with_error.any():
        return None
    a, b = float(pairs[with_error, 1].mean()), float(pairs[~with_error, 1].mean())
    return 2 * a * b / (a + b) if a + b else 0.0
