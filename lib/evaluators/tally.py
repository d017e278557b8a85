"""What evaluators count: for each problem, how its completions came out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lib.protocols import Tables
from lib.statistics import standard_error


@dataclass(frozen=True, slots=True)
class Tally:
    """One problem's completions. Undecided ones, errored ones among them, count neither as correct nor as wrong."""

    problem_id: str
    category: str | None
    difficulty: float | None
    drawn: int
    decided: int
    correct: int
    distinct_correct: int
    """Different texts among the correct, white space apart."""
    cut_off: int
    tokens: int

    def pass_at(self, k: int) -> float:
        """Unbiased estimate that one of k samples is correct: 1 - prod_{i=n-c+1..n} (1 - k/i) (Chen et al. 2021).

        Over the n decided completions, c of them correct; needs k <= n.
        """
        wrong = self.decided - self.correct
        return 1.0 - math.prod(1.0 - k / i for i in range(wrong + 1, self.decided + 1))


def tallies(tables: Tables) -> list[Tally]:
    """One Tally per problem, in order of problem_id, those without completions included.

    A completion is correct if all verdicts on it as a whole (no step, no rival) are, and undecided if any of them is,
    if there is none, or if it ended in an error.
    """
    outcomes = _outcomes(tables)
    columns = ("completion_id", "problem_id", "text", "finish_reason")
    lengths = [len(ids) for ids in tables.completions["completion_ids"]]
    by_problem: dict[str, list[tuple[str, str, str, int]]] = defaultdict(list)
    for name, problem, text, finish, length in zip(*(tables.completions[c].to_pylist() for c in columns), lengths, strict=True):
        outcome = "undecided" if finish == "error" else outcomes.get(name, "undecided")
        by_problem[problem].append((outcome, text, finish, length))
    problems = tables.problems.select(["problem_id", "category", "difficulty"]).sort_by("problem_id").to_pylist()
    return [_tally(problem, by_problem[problem["problem_id"]]) for problem in problems]


def mean_row(evaluator: str, metric: str, values: Sequence[float], slice_name: str = "all") -> list[dict[str, Any]]:
    """A metrics row of the mean over problems with its standard error; no row where there are no values."""
    if not values:
        return []
    mean = math.fsum(values) / len(values)
    return [_row(evaluator, metric, slice_name, mean, len(values), standard_error(values))]


def share_row(evaluator: str, metric: str, part: int, whole: int) -> list[dict[str, Any]]:
    """A metrics row of a ratio of totals, without a standard error; no row where the whole is empty."""
    return [_row(evaluator, metric, "all", part / whole, whole, None)] if whole else []


def _row(evaluator: str, metric: str, slice_name: str, value: float, n: int, stderr: float | None) -> dict[str, Any]:
    return {"evaluator": evaluator, "metric": metric, "slice": slice_name, "value": value, "n": n, "stderr": stderr}


def _outcomes(tables: Tables) -> dict[str, str]:
    """completion_id → correct, wrong or undecided, the worst of undecided, wrong, correct winning in that order."""
    rank = {"correct": 0, "wrong": 1, "undecided": 2}
    found: dict[str, str] = {}
    columns = ("completion_id", "outcome", "step", "rival_id")
    for name, outcome, step, rival in zip(*(tables.verdicts[c].to_pylist() for c in columns), strict=True):
        if outcome is not None and step is None and rival is None:
            found[name] = max(found.get(name, outcome), outcome, key=rank.__getitem__)
    return found


def _tally(problem: dict[str, Any], rows: list[tuple[str, str, str, int]]) -> Tally:
    correct = [" ".join(text.split()) for outcome, text, _, _ in rows if outcome == "correct"]
    return Tally(
        problem["problem_id"],
        problem["category"],
        problem["difficulty"],
        drawn=len(rows),
        decided=sum(outcome != "undecided" for outcome, _, _, _ in rows),
        correct=len(correct),
        distinct_correct=len(set(correct)),
        cut_off=sum(finish == "length" for _, _, finish, _ in rows),
        tokens=sum(length for _, _, _, length in rows),
    )
