"""NFT's weights in the loss of a training's first step, by hand: how hard a problem is, and what a wrong completion counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib.protocols import Machine
from lib.records import GROUP
from lib.trainers.nft import Nft
from tests.lib.trainers.examples import ROWS, table

SHIFT = -0.1
"""log R of every token: what the model says of it now is that much less than what it was sampled at."""
RATES = {"p": 0.25, "q": 0.0, "r": 1.0, "s": 0.6}
TOKENS = [len(completion) for _, _, completion, _ in ROWS]


@pytest.fixture
def examples(start: Path, logprobs: Callable[[Path, list[int]], list[float]]) -> pa.Table:
    rows = table("group").to_pylist()
    for row, (problem, prompt, completion, _) in zip(rows, ROWS, strict=True):
        now = logprobs(start, prompt + completion)[len(prompt) - 1 :]
        row |= {"old_logprobs": [value - SHIFT for value in now], "pass_rate": RATES[problem]}
    return GROUP.table(rows)


def by_hand(place: int, omega: Callable[[float], float], neg_weight: float) -> float:
    """ω times the loss of each token of a row, which is the same for all."""
    problem, _, _, worth = ROWS[place]
    rate = min(max(RATES[problem], 0.02), 0.98)
    if worth:
        return -omega(rate) * SHIFT
    return -neg_weight * omega(rate) * math.log((1 - rate * math.exp(SHIFT)) / (1 - rate))


def linear(rate: float) -> float:
    return 1 - rate


def root(rate: float) -> float:
    return math.sqrt((1 - rate) / rate)


@pytest.mark.parametrize(
    ("settings", "omega", "neg_weight"),
    [
        ({}, linear, 1.0),
        ({"omega": "sqrt"}, root, 1.0),
        ({"neg_weight": 0.0}, linear, 0.0),
        ({"omega": "sqrt", "neg_weight": 0.5}, root, 0.5),
    ],
)
def test_a_hard_problem_counts_more_and_wrong_completions_as_they_are_told_to(
    start: Path, tmp_path: Path, examples: pa.Table, settings: dict[str, Any], omega: Callable[[float], float], neg_weight: float
) -> None:
    each = [by_hand(place, omega, neg_weight) for place in range(len(ROWS))]
    wanted = {
        "tokens": sum(n * loss for n, loss in zip(TOKENS, each, strict=True)) / sum(TOKENS),
        "rows": sum(n * loss for n, loss in zip(TOKENS, each, strict=True)) / len(ROWS),
        "row_means": sum(each) / len(ROWS),
    }
    for reduction, loss in wanted.items():
        trainer = Nft(steps=1, reduction=reduction, **settings)
        figures = trainer.train({"start": start}, examples, tmp_path / reduction, 0, Machine())
        assert figures["loss_first"] == pytest.approx(loss, rel=1e-4), reduction
