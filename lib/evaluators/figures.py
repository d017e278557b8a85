"""The rows that an evaluator writes, gathered figure by figure, each with its standard error over problems where it has one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lib.evaluators.measuring import Measuring
from lib.protocols import Evaluated
from lib.statistics import ratio_error, standard_error


class Figures:
    """The figures of one evaluator; what has no value, because nothing was there to measure, has no row."""

    def __init__(self, of: Measuring) -> None:
        self._of = of
        self._metrics: list[dict[str, Any]] = []
        self._items: list[dict[str, Any]] = []

    def mean(self, metric: str, values: Mapping[str, float]) -> None:
        """The mean of values per problem, and every problem's own."""
        self.mean_of(metric, values)
        self._keep(metric, values)

    def mean_of(self, metric: str, values: Mapping[str, float], slice_name: str = "all") -> None:
        """The mean of values per problem, alone."""
        found = list(values.values())
        if found:
            self.figure(metric, math.fsum(found) / len(found), len(found), standard_error(found), slice_name)

    def ratio(self, metric: str, parts: Mapping[str, tuple[float, float]]) -> None:
        """Σ above / Σ below over problems, each with its (above, below), and the own ratio of every problem that has one.

        The error is by the delta method. The mean of the problems' own ratios is another figure.
        """
        below = math.fsum(b for _, b in parts.values())
        if below:
            value = math.fsum(a for a, _ in parts.values()) / below
            self.figure(metric, value, len(parts), ratio_error(list(parts.values())))
            self._keep(metric, {problem: above / own for problem, (above, own) in parts.items() if own})

    def figure(self, metric: str, value: float, n: int, stderr: float | None, slice_name: str = "all") -> None:
        """One figure as it is."""
        row = {"evaluator": type(self._of).__name__, "metric": self._of.named(metric), "slice": slice_name}
        self._metrics.append({**row, "value": float(value), "n": n, "stderr": stderr})

    def _keep(self, metric: str, values: Mapping[str, float]) -> None:
        row = {"evaluator": type(self._of).__name__, "metric": self._of.named(metric)}
        self._items += [{**row, "problem_id": problem, "value": float(value)} for problem, value in values.items()]

    def evaluated(self) -> Evaluated:
        return Evaluated(self._metrics, self._items)
