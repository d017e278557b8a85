from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib.errors import UserError
from lib.protocols import Machine
from lib.records import IGNORED, PAIR
from lib.trainers.dpo import Dpo

EOS = 2
LN2 = math.log(2)
PAIRS = [  # prompt, chosen, rejected: some cut off before the end-of-text token
    ([1, 5, 6, 3], [8, 9, 10, EOS], [8, 9, 11, 12, 13]),
    ([1, 7, 3], [11, 12], [12, EOS]),
    ([1, 8, 9, 3], [13, 14, 15, EOS], [16]),
    ([1, 6, 3], [18, EOS], [19, 20, 21, EOS]),
]
Train = Callable[..., dict[str, float]]
Score = Callable[[Path, list[int]], list[float]]


def examples(weight: float = 1.0) -> pa.Table:
    rows: list[dict[str, Any]] = []
    for i, (prompt, chosen, rejected) in enumerate(PAIRS):
        row = {"example_id": f"e{i}", "problem_id": f"p{i}", "strategy": "best_worst", "weight": weight}
        for side, completion, score in (("chosen", chosen, 1.0), ("rejected", rejected, 0.0)):
            row[f"{side}_input_ids"] = prompt + completion
            row[f"{side}_labels"] = [IGNORED] * len(prompt) + completion
            row[f"{side}_score"] = score
        rows.append(row)
    return PAIR.table(rows)


@pytest.fixture
def train(start: Path) -> Train:
    def by(trainer: Dpo, out: Path, *, reference: Path = start, table: pa.Table | None = None, **machine: Any) -> dict[str, float]:
        models = {"start": start, "reference": reference}
        return trainer.train(models, examples() if table is None else table, out, 0, Machine(**machine))

    return by


def likelihood(score: Score, folder: Path, prompt: list[int], completion: list[int]) -> float:
    return sum(score(folder, prompt + completion)[len(prompt) - 1 :])


def test_the_model_sees_the_rows_and_nothing_else(train: Train, tmp_path: Path, seen_ids: list[list[list[int]]]) -> None:
    train(Dpo(steps=2), tmp_path / "out")
    rows = sorted(prompt + side for prompt, *sides in PAIRS for side in sides)
    assert len(seen_ids) == 3  # the reference once, the policy at every step
    for batch in seen_ids:
        assert sorted([token for token in row if token] for row in batch) == rows  # 0 pads and is in no row


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_loss_is_ln_2_while_the_policy_is_the_reference(train: Train, tmp_path: Path, beta: float) -> None:
    figures = train(Dpo(steps=1, beta=beta), tmp_path / "out")
    assert figures["loss_first"] == pytest.approx(LN2, abs=1e-6)
    assert figures["margin_last"] == pytest.approx(0.0, abs=1e-5)


def test_ipo_starts_at_a_quarter_over_beta_squared(train: Train, tmp_path: Path) -> None:
    assert train(Dpo(steps=1, loss_type="ipo"), tmp_path / "out")["loss_first"] == pytest.approx(25.0, abs=1e-3)


def test_loss_against_another_reference_is_that_of_the_formula(
    train: Train, tmp_path: Path, start: Path, other: Path, logprobs: Score
) -> None:
    figures = train(Dpo(steps=1, beta=0.5), tmp_path / "out", reference=other)
    by_hand = 0.0
    for prompt, chosen, rejected in PAIRS:
        h = sum(
            sign * (likelihood(logprobs, start, prompt, side) - likelihood(logprobs, other, prompt, side))
            for sign, side in ((1, chosen), (-1, rejected))
        )
        by_hand += math.log1p(math.exp(-0.5 * h)) / len(PAIRS)
    assert abs(by_hand - LN2) > 1e-3
    assert figures["loss_first"] == pytest.approx(by_hand, abs=1e-5)


def test_the_likelihood_term_is_a_mean_over_chosen_tokens(train: Train, tmp_path: Path, start: Path, logprobs: Score) -> None:
    figures = train(Dpo(steps=1, nll_weight=0.5), tmp_path / "out", micro_batch=1)
    total = -sum(likelihood(logprobs, start, prompt, chosen) for prompt, chosen, _ in PAIRS)
    tokens = sum(len(chosen) for _, chosen, _ in PAIRS)
    assert figures["loss_first"] == pytest.approx(LN2 + 0.5 * total / tokens, abs=1e-5)


def test_training_prefers_the_chosen_sides(train: Train, tmp_path: Path, start: Path, logprobs: Score) -> None:
    figures = train(Dpo(steps=20, learning_rate=3e-3), tmp_path / "out")
    assert figures["loss_last"] < 0.6
    assert figures["accuracy_last"] == 1.0
    assert figures["margin_last"] > 0.1
    for prompt, chosen, rejected in PAIRS:
        gains = [
            likelihood(logprobs, tmp_path / "out", prompt, side) - likelihood(logprobs, start, prompt, side) for side in (chosen, rejected)
        ]
        assert gains[0] > gains[1]


@pytest.mark.parametrize("micro_batch", [1, 2])
def test_the_micro_batch_changes_nothing_but_rounding(
    train: Train, tmp_path: Path, micro_batch: int, furthest: Callable[[Path, Path], float]
) -> None:
    trainer = Dpo(steps=4, nll_weight=1.0, learning_rate=5e-4)
    whole = train(trainer, tmp_path / "whole")
    parts = train(trainer, tmp_path / "parts", micro_batch=micro_batch)
    assert parts == pytest.approx(whole, abs=1e-5)
    assert furthest(tmp_path / "parts", tmp_path / "whole") < 1e-5


def test_same_seed_same_bytes(train: Train, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train(Dpo(steps=3, batch_size=2), tmp_path / name)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two


def test_tokens_of_both_sides_are_counted(train: Train, tmp_path: Path) -> None:
    figures = train(Dpo(steps=2), tmp_path / "out")
    assert figures["tokens_trained"] == 2 * sum(len(chosen) + len(rejected) for _, chosen, rejected in PAIRS)


def test_weighted_pairs_are_refused(train: Train, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="4 of 4 examples have one other than 1"):
        train(Dpo(), tmp_path / "out", table=examples(weight=0.5))


def test_a_reference_in_the_examples_stands_for_a_model(train: Train, tmp_path: Path, other: Path, logprobs: Score) -> None:
    rows = examples().to_pylist()
    for row, (prompt, *sides) in zip(rows, PAIRS, strict=True):
        for name, side in zip(("chosen", "rejected"), sides, strict=True):
            row[f"{name}_reference_logprobs"] = logprobs(other, prompt + side)[len(prompt) - 1 :]
    scored = train(Dpo(steps=2, beta=0.5), tmp_path / "scored", reference=other)
    known = train(Dpo(steps=2, beta=0.5, reference=None), tmp_path / "known", table=PAIR.table(rows))
    assert known == pytest.approx(scored, abs=1e-5)
    with pytest.raises(UserError, match="Dpo needs the reference's log-probabilities, and 4 of 4 examples have none"):
        train(Dpo(reference=None), tmp_path / "none")
