"""How often a model's completion is preferred to another model's, on the same problems and from the same draws.

    win_rate     mean of P(mine > its) over the pairs of a problem, then over problems. By comparison: P = 1/2 [P(mine > its) + 1
                 - P(its > mine)] from the verdicts of both orders, so that a taste for one place cancels out. By score:
                 1 if mine is higher, 1/2 if they are equal, else 0
    lc_win_rate  σ(b) of the logistic fit P = σ(b + s z), with z the difference of lengths in characters over its standard
                 deviation: the win rate at equal lengths. As in AlpacaEval 2 (Dubois et al. 2024), without its tanh around z and
                 its term for each problem's difficulty

The base model against itself has 1/2 for every problem. There is no lc_win_rate where no finite fit exists: one side wins
always, or wins follow the lengths without exception. Its standard error is robust, with the problem as the cluster.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lib.evaluators.figures import Figures
from lib.evaluators.judged import scores
from lib.evaluators.measuring import Measuring
from lib.protocols import Evaluated, Tables
from lib.roles import scorer_name
from lib.samplers.independent import Independent
from lib.strategy import AnyStrategy

Floats = NDArray[np.float64]

STEPS = 50
"""Newton steps after which a fit is given up."""

FURTHEST = 25.0
"""Log-odds beyond which a fit is taken for one without an end."""


class WinRate(Measuring):
    """The win rate against another model, every completion of one meeting every completion of the other; 1/2 is a draw."""

    sampler: AnyStrategy = Independent(n=1, temperature=0.0)
    """Where the completions come from, of both models."""
    scorer: AnyStrategy
    """Who compares: Judge(form="pairwise", …), RewardModel(measure="pairwise", …), or any verifier with a score."""
    against: str = "base"
    """The other model: base, round:N, external:PATH."""

    def evaluate(self, tables: Tables) -> Evaluated:
        pairs = self._pairs(tables)
        figures = Figures(self)
        figures.mean("win_rate", {problem: math.fsum(won for won, _ in met) / len(met) for problem, met in pairs.items()})
        clusters = np.repeat(np.arange(len(pairs)), [len(met) for met in pairs.values()])
        fit = _at_equal_length(np.array([pair for met in pairs.values() for pair in met]), clusters) if pairs else None
        if fit is not None:
            figures.figure("lc_win_rate", fit[0], len(pairs), fit[1])
        return figures.evaluated()

    def _pairs(self, tables: Tables) -> dict[str, list[tuple[float, float]]]:
        """Problem → (P(mine > its), length of mine less that of its) of every pair that could be compared."""
        mine, its = _texts(tables.completions), _texts(tables.rivals)
        compared, scored = _comparisons(tables, scorer_name(self)), scores(tables, scorer_name(self))
        found: dict[str, list[tuple[float, float]]] = {}
        for problem in sorted(mine):
            if not tables.rivals.num_rows:
                found[problem] = [(0.5, 0.0) for _ in mine[problem]]
                continue
            pairs = [(a, b) for a in mine[problem] for b in its.get(problem, ())]
            known = [(_won(a, b, compared, scored), float(len(mine[problem][a]) - len(its[problem][b]))) for a, b in pairs]
            if met := [(won, length) for won, length in known if won is not None]:
                found[problem] = met
        return found

    def _per_problem(self) -> Iterable[str]:
        return ("win_rate",)


def _texts(completions: pa.Table) -> dict[str, dict[str, str]]:
    """Problem → completion → text, of those that were sampled."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    columns = (completions[name].to_pylist() for name in ("problem_id", "completion_id", "text", "finish_reason"))
    for problem, name, text, finish in sorted(zip(*columns, strict=True)):
        if finish != "error":
            found[problem][name] = text
    return dict(found)


def _comparisons(tables: Tables, verifier: str) -> dict[tuple[str, str], float]:
    """(Completion, rival) → the verifier's probability that the completion is the better one."""
    columns = (tables.verdicts[name].to_pylist() for name in ("completion_id", "rival_id", "verifier", "score"))
    return {(a, b): score for a, b, who, score in zip(*columns, strict=True) if who == verifier and b is not None and score is not None}


def _won(a: str, b: str, compared: dict[tuple[str, str], float], scored: dict[str, float]) -> float | None:
    """P(a > b), or None where nobody can say."""
    if compared:
        forth, back = compared.get((a, b)), compared.get((b, a))
        return None if forth is None or back is None else 0.5 * (forth + 1.0 - back)
    if a not in scored or b not in scored:
        return None
    return 0.5 if scored[a] == scored[b] else float(scored[a] > scored[b])


def _at_equal_length(pairs: Floats, clusters: NDArray[np.int64]) -> tuple[float, float | None] | None:
    """σ(b) and its standard error of the fit to rows (win, length difference); None where there is no finite one."""
    won, lengths = pairs[:, 0], pairs[:, 1]
    spread = float(lengths.std())
    design = np.stack([np.ones(len(won)), lengths / spread], axis=1) if spread else np.ones((len(won), 1))
    weights = np.zeros(design.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -500, 500)))
        bend = design.T @ (design * (chance * (1 - chance))[:, None])
        if np.linalg.cond(bend) > 1e12:
            return None
        step = np.linalg.solve(bend, design.T @ (won - chance))
        weights = weights + step
        if np.abs(weights).max() > FURTHEST:
            return None
        if np.abs(step).max() < 1e-10:
            break
    else:
        return None
    centre = 1 / (1 + math.exp(-weights[0]))
    return centre, _error(design, won - chance, bend, clusters, centre)


def _error(design: Floats, residual: Floats, bend: Floats, clusters: NDArray[np.int64], centre: float) -> float | None:
    """σ'(b) times the cluster-robust standard error of b, n / (n - 1) for n clusters; None below two."""
    n = int(clusters.max()) + 1
    if n < 2:
        return None
    sums = np.stack([np.bincount(clusters, column) for column in (design * residual[:, None]).T], axis=1)
    inverse = np.linalg.inv(bend)
    variance = inverse @ (sums.T @ sums) @ inverse * n / (n - 1)
    return centre * (1 - centre) * math.sqrt(max(0.0, float(variance[0, 0])))
