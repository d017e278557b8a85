"""pass@k without bias (E.pass), and what it must be read beside: undecided, cut off, length, variety."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, model_validator

from lib.errors import UserError
from lib.evaluators.figures import Figures
from lib.evaluators.measuring import Measuring
from lib.evaluators.tally import tallies
from lib.protocols import Evaluated, Tables
from lib.samplers.independent import Independent
from lib.strategy import AnyStrategy


class PassAtK(Measuring):
    """Share of problems that k samples would solve, for each k, with its standard error over problems.

    Undecided completions are not counted among the n; a problem with fewer than k decided ones is left out of
    pass_at_k, and `pass_at_k_left_out` is the share of such problems. pass@1 up with pass@(large k) down is sharpening,
    not new ability.
    """

    k: tuple[int, ...] = Field((1, 8), min_length=1)
    """Numbers of samples."""
    sampler: AnyStrategy = Independent(n=8, temperature=1.0)
    """Where the completions come from."""

    @model_validator(mode="after")
    def _has_enough_samples(self) -> PassAtK:
        if min(self.k) < 1:
            raise UserError(f"PassAtK: k={min(self.k)}; give 1 or more")
        if isinstance(self.sampler, Independent) and max(self.k) > self.sampler.n:
            raise UserError(f"PassAtK: k={max(self.k)} needs as many samples, and sampler.n is {self.sampler.n}")
        return self

    def evaluate(self, tables: Tables) -> Evaluated:
        found = tallies(tables)
        figures = Figures(self)
        figures.ratio("undecided_share", {t.problem_id: (t.drawn - t.decided, t.drawn) for t in found})
        figures.ratio("truncated_share", {t.problem_id: (t.cut_off, t.drawn) for t in found})
        figures.ratio("mean_tokens", {t.problem_id: (t.tokens, t.drawn) for t in found})
        for k in self.k:
            values = {t.problem_id: t.pass_at(k) for t in found if t.decided >= k}
            figures.mean(f"pass_at_{k}_left_out", {t.problem_id: float(t.problem_id not in values) for t in found})
            figures.mean(f"pass_at_{k}", values)
        figures.mean("distinct_correct", {t.problem_id: float(t.distinct_correct) for t in found})
        return figures.evaluated()

    def _per_problem(self) -> Iterable[str]:
        return (*(f"pass_at_{k}" for k in self.k), "distinct_correct")
