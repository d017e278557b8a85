"""The loss of a training's first step over sets of solutions, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.protocols import Machine
from lib.trainers.marginal_likelihood import MarginalLikelihood
from tests.lib.trainers.examples import ROWS, table

TAKEN = [6, 0, 2, 3, 4, 1, 5]
"""Rows in no order: two solutions of p, q and r each, and one of s."""


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
def test_each_problem_counts_once_however_many_solutions_it_has_and_whatever_their_order(
    start: Path, tmp_path: Path, logprobs: Callable[[Path, list[int]], list[float]], beta: float
) -> None:
    likelihoods: dict[str, list[float]] = {}
    for place in TAKEN:
        problem, prompt, completion, _ = ROWS[place]
        likelihoods.setdefault(problem, []).append(sum(logprobs(start, prompt + completion)[len(prompt) - 1 :]))
    losses = [
        -math.log(sum(math.exp(beta * own) for own in found)) / beta if beta else -sum(found) / len(found) for found in likelihoods.values()
    ]
    trainer = MarginalLikelihood(steps=1, beta=beta)
    figures = trainer.train({"start": start}, table("sft").take(TAKEN), tmp_path / "out", 0, Machine())
    assert figures["loss_first"] == pytest.approx(sum(losses) / 4, rel=1e-5)
