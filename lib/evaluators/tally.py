"""What evaluators count: for each problem, how its completions came out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lib.evaluators.judged import Judged, judged
from lib.protocols import Tables


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
        """Unbiased estimate that one of k samples is correct, over the decided completions; needs k <= n."""
        return pass_at(self.decided, self.correct, k)


def pass_at(n: int, correct: int, k: int) -> float:
    """1 - prod_{i=n-c+1..n} (1 - k/i) for n completions, c of them correct (Chen et al. 2021); needs k <= n."""
    return 1.0 - math.prod(1.0 - k / i for i in range(n - correct + 1, n + 1))


def tallies(tables: Tables) -> list[Tally]:
    """One Tally per problem, in order of problem_id, those without completions included.

    What counts as correct stands in lib.evaluators.judged.
    """
    drawn = judged(tables)
    problems = tables.problems.select(["problem_id", "category", "difficulty"]).sort_by("problem_id").to_pylist()
    return [_tally(problem, drawn[problem["problem_id"]]) for problem in problems]


def _tally(problem: dict[str, Any], rows: Sequence[Judged]) -> Tally:
    return Tally(
        problem["problem_id"],
        problem["category"],
        problem["difficulty"],
        drawn=len(rows),
        decided=sum(row.is_decided for row in rows),
        correct=sum(row.is_correct for row in rows),
        distinct_correct=len({row.plain for row in rows if row.is_correct}),
        cut_off=sum(row.finish_reason == "length" for row in rows),
        tokens=sum(row.tokens for row in rows),
    )
