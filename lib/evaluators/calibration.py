"""How far a verifier's score can be believed as the probability that a completion is correct.

Over all decided completions that have a score f, with c = 1 where the gold verifiers say correct:

    ece        Σ_b (n_b / n) |mean c - mean f| over `bins` bins of equal width, (b/B, (b+1)/B] and 0 in the first
    ece_mass   the same over `bins` bins that hold equally many completions, within one (Nixon et al. 2019)
    brier      mean (f - c)²: the mean over problems of each one's own mean
    auroc      P(f of a correct one > f of a wrong one) + 1/2 P(they are equal)
    aurc       mean over j = 1..n of the share of wrong ones among the j most confident (Geifman et al. 2019)

Completions of one score are in no order: each counts with their mean c. Errors are by leaving out one problem at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lib.errors import UserError
from lib.evaluators.figures import Figures
from lib.evaluators.judged import Judged, decided, scores
from lib.evaluators.measuring import Measuring
from lib.protocols import Evaluated, Tables
from lib.roles import scorer_name
from lib.samplers.independent import Independent
from lib.statistics import jackknife_error
from lib.strategy import AnyStrategy

Floats = NDArray[np.float64]


class Calibration(Measuring):
    """ECE, Brier score, AUROC and risk-coverage area of the scorer's confidence. Raises UserError for a score outside [0, 1]."""

    sampler: AnyStrategy = Independent(n=8, temperature=1.0)
    """Where the completions come from."""
    scorer: AnyStrategy
    """The verifier whose score is the confidence, such as Likelihood(measure="p_true", model="measured")."""
    bins: int = Field(10, ge=1)
    """Bins of the expected calibration error."""

    def evaluate(self, tables: Tables) -> Evaluated:
        name = scorer_name(self)
        found = scores(tables, name)
        rows = _pairs(decided(tables, (name,)), found)
        for pairs in rows.values():
            _refuse_outside(pairs[:, 0], name)
        figures = Figures(self)
        figures.mean("brier", {problem: float(np.mean((pairs[:, 0] - pairs[:, 1]) ** 2)) for problem, pairs in rows.items()})
        pooled: dict[str, Callable[[Floats], float | None]] = {
            "ece": lambda pairs: _ece(pairs, lambda f: np.clip(np.ceil(f * self.bins).astype(np.int64) - 1, 0, None)),
            "ece_mass": lambda pairs: _ece(pairs, lambda f: np.arange(len(f)) * self.bins // len(f)),
            "auroc": _auroc,
            "aurc": _aurc,
        }
        for metric, statistic in pooled.items() if rows else ():
            groups = list(rows.values())
            if (value := statistic(np.concatenate(groups))) is not None:
                figures.figure(metric, value, sum(map(len, groups)), jackknife_error(groups, statistic))
        return figures.evaluated()

    def _per_problem(self) -> Iterable[str]:
        return ("brier",)


def _pairs(rows: Mapping[str, list[Judged]], found: Mapping[str, float]) -> dict[str, Floats]:
    """Problem → (m, 2): confidence and correctness."""
    scored = {problem: [row for row in drawn if row.completion_id in found] for problem, drawn in rows.items()}
    return {p: np.array([(found[row.completion_id], float(row.is_correct)) for row in drawn]) for p, drawn in scored.items() if drawn}


def _refuse_outside(confidence: Floats, name: str) -> None:
    outside = confidence[(confidence < 0) | (confidence > 1)]
    if len(outside):
        raise UserError(
            f"Calibration: '{name}' gave the score {outside[0]:.4g}, which is no probability; take a scorer from 0 to 1, "
            "such as Likelihood(measure='p_true') or Judge(form='rating')"
        )


def _ordered(pairs: Floats) -> Floats:
    """By descending confidence, with the mean correctness of its equals in each row's place."""
    ordered = pairs[np.argsort(-pairs[:, 0], kind="stable")]
    _, place, counts = np.unique(-ordered[:, 0], return_inverse=True, return_counts=True)
    means = np.bincount(place, ordered[:, 1]) / counts
    return np.stack([ordered[:, 0], means[place]], axis=1)


def _ece(pairs: Floats, bins: Callable[[Floats], NDArray[np.int64]]) -> float:
    """`bins` gives the bin of every confidence, which come in descending order."""
    ordered = _ordered(pairs)
    gaps = np.bincount(bins(ordered[:, 0]), ordered[:, 1] - ordered[:, 0])
    return float(np.abs(gaps).sum() / len(ordered))


def _auroc(pairs: Floats) -> float | None:
    """By ranks, equals sharing theirs: (Σ ranks of the correct - m (m + 1) / 2) / (m (n - m))."""
    right = pairs[:, 1] == 1.0
    m, rest = int(right.sum()), int((~right).sum())
    if not m or not rest:
        return None
    _, place, counts = np.unique(pairs[:, 0], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[right].sum() - m * (m + 1) / 2) / (m * rest))


def _aurc(pairs: Floats) -> float:
    wrong = 1 - _ordered(pairs)[:, 1]
    return float(np.mean(np.cumsum(wrong) / np.arange(1, len(wrong) + 1)))
