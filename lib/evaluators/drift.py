"""How far a model has moved from a reference, on its own fresh completions, and how it tells right from wrong by likelihood.

With log r_j = log π_ref(y_j) - log π(y_j) for token j of a completion drawn from π, both at temperature 1 (Schulman 2020):

    kl_k1            Σ_j -log r_j: without bias for KL(π ‖ π_ref), though single completions may be below 0
    kl_k3            Σ_j (r_j - 1 - log r_j): without bias too, never below 0 and less noisy
    kl_k1_per_token, kl_k3_per_token    their sums over a problem's completions, over the number of its tokens

    likelihood_correct, likelihood_wrong    mean log π(y | x) of completions judged so; with _per_token log π(y | x) / |y|
    value_gap, value_gap_per_token          correct less wrong, over problems that have both: one that shrinks over the rounds
                                            says that the model learns to write both alike

In nats; means over problems of means over completions. Of a problem, completions count that have both figures for each token.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from lib.errors import UserError
from lib.evaluators.figures import Figures
from lib.evaluators.judged import Judged, judged
from lib.evaluators.measuring import Measuring
from lib.protocols import Evaluated, Tables
from lib.roles import scorer_name
from lib.samplers.independent import Independent
from lib.strategy import AnyStrategy
from lib.verifiers.likelihood import Likelihood

Floats = NDArray[np.float64]


class Drift(Measuring):
    """KL to the reference by two estimators, and the likelihood of correct and of wrong completions under the model itself.

    An engine that tells no log-probabilities at temperature 1 (a server) leaves nothing to measure.
    """

    sampler: AnyStrategy = Independent(n=4, temperature=1.0)
    """Where the completions come from; at temperature 1 and top_p 1, so that they are drawn from π."""
    scorer: AnyStrategy = Likelihood(name="reference", measure="sum", model="base")
    """The likelihood under the reference; its `model` says which: base, round:N, external:PATH."""

    @model_validator(mode="after")
    def _draws_from_the_model(self) -> Drift:
        for setting in ("temperature", "top_p"):
            if (found := getattr(self.sampler, setting, 1.0)) != 1.0:
                raise UserError(f"Drift: sampler.{setting} is {found:g}, and KL is measured on draws from the model itself; set it to 1")
        return self

    def evaluate(self, tables: Tables) -> Evaluated:
        rows = judged(tables, (scorer_name(self),))
        own, reference = _own(tables), _reference(tables)
        figures = Figures(self)
        _divergence(figures, rows, own, reference)
        sums: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for outcome in ("correct", "wrong"):
            for problem, drawn in rows.items():
                found = [own[row.completion_id] for row in drawn if row.outcome == outcome and row.completion_id in own]
                if found:
                    sums[outcome, ""][problem] = math.fsum(float(one.sum()) for one in found) / len(found)
                    sums[outcome, "_per_token"][problem] = math.fsum(float(one.mean()) for one in found) / len(found)
        for each in ("", "_per_token"):
            right, wrong = sums["correct", each], sums["wrong", each]
            figures.mean(f"likelihood_correct{each}", right)
            figures.mean(f"likelihood_wrong{each}", wrong)
            figures.mean(f"value_gap{each}", {problem: right[problem] - wrong[problem] for problem in right if problem in wrong})
        return figures.evaluated()

    def _per_problem(self) -> Iterable[str]:
        kinds = ("kl_k1", "kl_k3", "likelihood_correct", "likelihood_wrong", "value_gap")
        return (f"{kind}{each}" for kind in kinds for each in ("", "_per_token"))


def _own(tables: Tables) -> dict[str, Floats]:
    """Completion → the log-probabilities of its tokens under the model that wrote it."""
    columns = (tables.completions[name].to_pylist() for name in ("completion_id", "logprobs_at_1"))
    return {name: np.array(told) for name, told in zip(*columns, strict=True) if told}


def _reference(tables: Tables) -> dict[str, Floats]:
    """The same under the reference. Raises UserError where several models scored them."""
    models = set(tables.token_scores["model_id"].to_pylist())
    if len(models) > 1:
        raise UserError(f"Drift: {len(models)} models scored the completions' tokens; leave it one likelihood, its scorer")
    columns = (tables.token_scores[name].to_pylist() for name in ("completion_id", "logprobs"))
    return {name: np.array(told) for name, told in zip(*columns, strict=True)}


def _divergence(figures: Figures, rows: Mapping[str, list[Judged]], own: Mapping[str, Floats], reference: Mapping[str, Floats]) -> None:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for problem, drawn in rows.items():
        names = [row.completion_id for row in drawn if row.completion_id in own and row.completion_id in reference]
        if any(len(own[name]) != len(reference[name]) for name in names):
            raise UserError("Drift: the reference scored other tokens than were sampled; set scorer.tokens=sampled")
        ratios = [reference[name] - own[name] for name in names]
        tokens = sum(len(ratio) for ratio in ratios)
        sums = {"kl_k1": [-float(r.sum()) for r in ratios], "kl_k3": [float((np.expm1(r) - r).sum()) for r in ratios]}
        for metric, values in sums.items() if tokens else ():
            found[metric][problem] = math.fsum(values) / len(values)
            found[f"{metric}_per_token"][problem] = math.fsum(values) / tokens
    for metric in ("kl_k1", "kl_k3"):
        figures.mean(metric, found[metric])
        figures.mean(f"{metric}_per_token", found[f"{metric}_per_token"])
