"""How wide a model searches: whether the same problem gets different answers, and different correct ones.

    distinct_correct_texts   different correct texts of a problem, white space apart
    answer_entropy           -Σ_a q_a log q_a in nats, q_a the share of answer a among those of a problem that can be read
    pass_at_K_S_distinct     share of problems of which k of the n decided completions hold at least S distinct correct texts, as a
                             mean over all subsets of k (B-STaR's Pass@k-S, from memory of Zeng et al. 2024)
    mixed_share              share of problems with 0 < p < 1, which a group method can learn from
    token_entropy            nats a token at temperature 1, as the engine measured them: every token of a problem counts alike

A problem with nothing to measure a figure by is left out of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import Field, model_validator

from lib.errors import UserError
from lib.evaluators.answers import Told, answer_of
from lib.evaluators.figures import Figures
from lib.evaluators.judged import Judged, judged
from lib.evaluators.measuring import Measuring
from lib.evaluators.subsets import distinct_at_least
from lib.protocols import Evaluated, Tables
from lib.samplers.independent import Independent
from lib.strategy import AnyStrategy


class Exploration(Measuring):
    """Variety of answers and of correct answers."""

    sampler: AnyStrategy = Independent(n=8, temperature=1.0)
    """Where the completions come from."""
    k: int = Field(8, ge=1)
    """Completions among which distinct correct ones are looked for."""
    s: tuple[int, ...] = (2, 4)
    """How many distinct correct ones there must be."""
    told: Told = "final"
    """Whether answers are told apart by the final answer, or by the whole text (white space apart)."""

    @model_validator(mode="after")
    def _has_enough_samples(self) -> Exploration:
        if isinstance(self.sampler, Independent) and self.k > self.sampler.n:
            raise UserError(f"Exploration: k={self.k} needs as many samples, and sampler.n is {self.sampler.n}")
        if any(not 1 <= s <= self.k for s in self.s):
            raise UserError(f"Exploration: s={list(self.s)} of k={self.k}; give numbers from 1 to k")
        return self

    def evaluate(self, tables: Tables) -> Evaluated:
        rows = judged(tables)
        known = {problem: found for problem, drawn in rows.items() if (found := [row for row in drawn if row.is_decided])}
        figures = Figures(self)
        figures.mean("distinct_correct_texts", {problem: float(len(_correct(drawn))) for problem, drawn in rows.items()})
        answers = {
            problem: [answer for row in drawn if (answer := answer_of(row, self.told)) is not None] for problem, drawn in rows.items()
        }
        figures.mean("answer_entropy", {problem: _entropy(found) for problem, found in answers.items() if found})
        enough = {problem: drawn for problem, drawn in known.items() if len(drawn) >= self.k}
        for s in self.s:
            values = {p: distinct_at_least([*_correct(drawn).values()], len(drawn), self.k, s) for p, drawn in enough.items()}
            figures.mean(f"pass_at_{self.k}_{s}_distinct", values)
        figures.mean("mixed_share", {p: float(0 < sum(row.is_correct for row in drawn) < len(drawn)) for p, drawn in known.items()})
        figures.mean("token_entropy", _token_entropy(tables))
        return figures.evaluated()

    def _per_problem(self) -> Iterable[str]:
        distinct = (f"pass_at_{self.k}_{s}_distinct" for s in self.s)
        return ("distinct_correct_texts", "answer_entropy", *distinct, "mixed_share", "token_entropy")


def _correct(rows: Sequence[Judged]) -> Counter[str]:
    """Correct text → its completions."""
    return Counter(row.plain for row in rows if row.is_correct)


def _entropy(answers: Sequence[str]) -> float:
    shares = [count / len(answers) for count in Counter(answers).values()]
    return max(0.0, -math.fsum(share * math.log(share) for share in shares))


def _token_entropy(tables: Tables) -> dict[str, float]:
    """Problem → mean over its tokens, of completions whose engine told the entropy."""
    columns = [tables.completions[name].to_pylist() for name in ("problem_id", "entropy_mean")]
    lengths = [len(ids) for ids in tables.completions["completion_ids"]]
    sums: dict[str, list[float]] = {}
    for problem, entropy, length in zip(*columns, lengths, strict=True):
        if entropy is not None and length:
            total = sums.setdefault(problem, [0.0, 0.0])
            total[0] += entropy * length
            total[1] += length
    return {problem: total / tokens for problem, (total, tokens) in sorted(sums.items())}
