"""pass@1 where it is easy and where it is hard."""

from __future__ import annotations

from collections import defaultdict

from lib.evaluators.tally import mean_row, tallies
from lib.protocols import Evaluated, Tables
from lib.samplers.independent import Independent
from lib.strategy import AnyStrategy, Strategy


class ByDifficulty(Strategy):
    """pass_at_1 for each difficulty (slice `difficulty=3`) and each category (slice `category=algebra`).

    Problems without a decided completion are left out, as are slices without such a problem. No values per problem:
    PassAtK has them.
    """

    sampler: AnyStrategy = Independent(n=8, temperature=1.0)
    """Where the completions come from."""
    verifiers: tuple[AnyStrategy, ...] = ()
    """Who judges them; empty: the problem set's own."""

    def evaluate(self, tables: Tables) -> Evaluated:
        slices: dict[str, list[float]] = defaultdict(list)
        for tally in tallies(tables):
            if tally.decided and tally.difficulty is not None:
                slices[f"difficulty={tally.difficulty:g}"].append(tally.pass_at(1))
            if tally.decided and tally.category is not None:
                slices[f"category={tally.category}"].append(tally.pass_at(1))
        return Evaluated([row for name in sorted(slices) for row in mean_row("ByDifficulty", "pass_at_1", slices[name], name)], [])
