"""What picking one of k completions gives: by majority, by the best score, by a weighted vote; and what the pick loses.

    maj_at_k         mean over subsets of k of 1[the most common answer is correct], tied answers sharing (1 / their number)
    bon_at_k         of n completions by descending score, c_(j) in {0, 1}: Σ_{j=1..n-k+1} c_(j) C(n-j, k-1) / C(n, k);
                     completions of one score count with the mean of theirs
    oracle_gap_at_k  pass@k - bon_at_k: what is lost because the scorer does not find the correct one
    weighted_at_k    as maj_at_k, each vote weighing its completion's score

A problem has n decided completions; one with fewer than k is left out. A completion without a readable answer is no vote, and
one without a score comes last and weighs nothing. An answer that some of its completions give correctly and others not (an
answer in a text that is cut off, say) is correct in that share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field, model_validator

from lib import seeds
from lib.errors import UserError
from lib.evaluators.answers import Told, answer_of
from lib.evaluators.figures import Figures
from lib.evaluators.judged import Judged, decided, scores
from lib.evaluators.measuring import Measuring
from lib.evaluators.subsets import majority, ranked, top_mean, weighted_majority
from lib.evaluators.tally import pass_at
from lib.protocols import Evaluated, Tables
from lib.roles import scorer_name
from lib.samplers.independent import Independent
from lib.strategy import AnyStrategy


class Selection(Measuring):
    """The majority's accuracy, and with a scorer that of its best and of the weighted vote, each for every k."""

    k: tuple[int, ...] = Field((4, 8), min_length=1)
    """Numbers of samples to pick from."""
    sampler: AnyStrategy = Independent(n=8, temperature=1.0)
    """Where the completions come from."""
    scorer: AnyStrategy | None = None
    """The verifier by whose score the best is picked; none leaves best-of-k out."""
    told: Told = "final"
    """Whether completions vote by their final answer, or by their whole text (white space apart)."""
    weighted: bool = False
    """Whether to vote by scores too; they must be 0 or more."""
    draws: int = Field(1000, ge=1)
    """Subsets of a problem that are drawn where they are too many to count."""

    @model_validator(mode="after")
    def _can_pick(self) -> Selection:
        if min(self.k) < 1:
            raise UserError(f"Selection: k={min(self.k)}; give 1 or more")
        if isinstance(self.sampler, Independent) and max(self.k) > self.sampler.n:
            raise UserError(f"Selection: k={max(self.k)} needs as many samples, and sampler.n is {self.sampler.n}")
        if self.weighted and self.scorer is None:
            raise UserError("Selection: weighted=True needs scores; give it a scorer, such as Judge(form='rating')")
        return self

    def evaluate(self, tables: Tables) -> Evaluated:
        name = scorer_name(self)
        rows = decided(tables, (name,))
        found = scores(tables, name)
        figures = Figures(self)
        for k in self.k:
            enough = {problem: drawn for problem, drawn in rows.items() if len(drawn) >= k}
            figures.mean(f"maj_at_{k}", {problem: self._vote(problem, drawn, k) for problem, drawn in enough.items()})
            if self.scorer is not None:
                best = {problem: _best(drawn, found, k) for problem, drawn in enough.items()}
                figures.mean(f"bon_at_{k}", best)
                gaps = {problem: pass_at(len(enough[problem]), _correct(enough[problem]), k) - value for problem, value in best.items()}
                figures.mean(f"oracle_gap_at_{k}", gaps)
            if self.weighted:
                weights = _weights(enough, found, name)
                figures.mean(f"weighted_at_{k}", {p: self._vote(p, drawn, k, weights[p]) for p, drawn in enough.items()})
        return figures.evaluated()

    def _vote(self, problem: str, rows: Sequence[Judged], k: int, weights: Sequence[float] | None = None) -> float:
        votes = [answer_of(row, self.told) for row in rows]
        values = [float(row.is_correct) for row in rows]
        seed = seeds.seed_of("vote", problem, k)
        if weights is None:
            return majority(votes, values, k, seed, self.draws)
        return weighted_majority(votes, values, weights, k, seed, self.draws)

    def _per_problem(self) -> Iterable[str]:
        kinds = ("maj", *(("bon", "oracle_gap") if self.scorer else ()), *(("weighted",) if self.weighted else ()))
        return (f"{kind}_at_{k}" for kind in kinds for k in self.k)


def _best(rows: Sequence[Judged], found: Mapping[str, float], k: int) -> float:
    return top_mean(ranked([(found.get(row.completion_id, -math.inf), float(row.is_correct)) for row in rows]), k)


def _correct(rows: Sequence[Judged]) -> int:
    return sum(row.is_correct for row in rows)


def _weights(rows: Mapping[str, Sequence[Judged]], found: Mapping[str, float], name: str) -> dict[str, list[float]]:
    weights = {problem: [found.get(row.completion_id, 0.0) for row in drawn] for problem, drawn in rows.items()}
    least = min((weight for own in weights.values() for weight in own), default=0.0)
    if least < 0:
        raise UserError(
            f"Selection: '{name}' gave the score {least:.4g}, and votes weigh 0 or more; set weighted=false or take another scorer"
        )
    return weights
