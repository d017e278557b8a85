"""pass@1 where it is easy and where it is hard."""

from __future__ import annotations

from collections import defaultdict

from lib.evaluators.figures import Figures
from lib.evaluators.measuring import Measuring
from lib.evaluators.tally import tallies
from lib.protocols import Evaluated, Tables
from lib.samplers.independent import Independent
from lib.strategy import AnyStrategy


class ByDifficulty(Measuring):
    """pass_at_1 for each difficulty (slice `difficulty=3`) and each category (slice `category=algebra`).

    Problems without a decided completion are left out, as are slices without such a problem. No values per problem:
    PassAtK has them.
    """

    sampler: AnyStrategy = Independent(n=8, temperature=1.0)
    """Where the completions come from."""

    def evaluate(self, tables: Tables) -> Evaluated:
        slices: dict[str, dict[str, float]] = defaultdict(dict)
        for tally in tallies(tables):
            if tally.decided and tally.difficulty is not None:
                slices[f"difficulty={tally.difficulty:g}"][tally.problem_id] = tally.pass_at(1)
            if tally.decided and tally.category is not None:
                slices[f"category={tally.category}"][tally.problem_id] = tally.pass_at(1)
        figures = Figures(self)
        for name in sorted(slices):
            figures.mean_of("pass_at_1", slices[name], name)
        return figures.evaluated()
