"""What evaluators have in common: where completions come from, who judges them, and what their figures are called."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from lib.strategy import AnyStrategy, Strategy


class Measuring(Strategy):
    """The settings of every evaluator.

    One that needs a verifier besides those that say what is correct has it as `scorer`: it verifies with the others, and its
    outcomes count for nothing but what the evaluator makes of them. One that measures against another model names it in
    `against`, a reference that stays: base, round:N, external:PATH.
    """

    sampler: AnyStrategy
    """Where the completions come from."""
    verifiers: tuple[AnyStrategy, ...] = ()
    """Who judges them; empty: the problem set's own."""
    name: str = Field("", pattern=r"^[A-Za-z0-9_]*$")
    """What its metrics' names begin with (NAME_pass_at_1): told apart where a recipe has two evaluators of a kind."""

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics that are means of a value per problem, such as a gate can read; a ratio of sums is none."""
        return frozenset(self.named(metric) for metric in self._per_problem())

    def named(self, metric: str) -> str:
        """A metric as this evaluator calls it."""
        return f"{self.name}_{metric}" if self.name else metric

    def _per_problem(self) -> Iterable[str]:
        return ()
