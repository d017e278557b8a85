from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from lib.errors import SchemaMismatch, UserError
from lib.models import load_model
from lib.protocols import Machine
from lib.records import GROUP, IGNORED
from lib.trainers.policy_gradient import PolicyGradient

EOS = 2
PROMPT = [1, 5, 6, 3]
GROUPED = [([8], 1.0), ([9, 10, EOS], -1.0), ([11, 12, 13, EOS], 0.5), ([14, EOS], -0.5)]  # completion, advantage
Train = Callable[..., dict[str, float]]
Score = Callable[[Path, list[int]], list[float]]


@pytest.fixture
def on_policy(start: Path, logprobs: Score) -> pa.Table:
    """A group sampled by the model that training starts from."""
    return group(said_by(start, logprobs))


@pytest.fixture
def compared(start: Path, other: Path, logprobs: Score) -> pa.Table:
    """The same, with what another model says of it."""
    return group(said_by(start, logprobs), said_by(other, logprobs))


def said_by(folder: Path, logprobs: Score) -> dict[tuple[int, ...], list[float]]:
    return {tuple(c): logprobs(folder, PROMPT + c)[len(PROMPT) - 1 :] for c, _ in GROUPED}


def group(old: dict[tuple[int, ...], list[float]], reference: dict[tuple[int, ...], list[float]] | None = None) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "example_id": f"e{i}",
            "problem_id": "p",
            "group_id": "g",
            "input_ids": PROMPT + completion,
            "labels": [IGNORED] * len(PROMPT) + completion,
            "old_logprobs": old[tuple(completion)],
            "reward": float(advantage > 0),
            "advantage": advantage,
            "pass_rate": 0.5,
            "reference_logprobs": reference[tuple(completion)] if reference else None,
        }
        for i, (completion, advantage) in enumerate(GROUPED)
    ]
    return GROUP.table(rows)


@pytest.fixture
def train(start: Path) -> Train:
    def by(trainer: PolicyGradient, table: pa.Table, out: Path, **machine: Any) -> dict[str, float]:
        return trainer.train({"start": start}, table, out, 0, Machine(**machine))

    return by


@pytest.mark.parametrize(
    ("settings", "loss"),
    [
        ({"normalise": "grpo"}, 0.0),  # -(1 - 1 + 0.5 - 0.5) / 4 rows
        ({"normalise": "dapo"}, 0.1),  # -(1 - 3 + 2 - 1) / 10 tokens
        ({"normalise": "dr_grpo", "max_length": 8}, 0.03125),  # 1 / (4 rows · 8)
        ({"normalise": "rows"}, 0.25),  # 1 / 4 rows
        ({"normalise": "grpo", "ratio": "sequence"}, 0.0),
    ],
)
def test_losses_of_tokens_become_one_number_in_several_ways(
    train: Train, tmp_path: Path, on_policy: pa.Table, settings: dict[str, Any], loss: float
) -> None:
    figures = train(PolicyGradient.model_validate({"steps": 1, **settings}), on_policy, tmp_path / "out")
    assert figures["loss_first"] == pytest.approx(loss, abs=1e-5)
    assert figures["clip_share"] == 0.0
    assert figures["kl_old"] == pytest.approx(0.0, abs=1e-6)
    assert figures["tokens_trained"] == 10


def test_good_tokens_become_likelier_and_bad_ones_rarer(
    train: Train, tmp_path: Path, on_policy: pa.Table, start: Path, logprobs: Score
) -> None:
    train(PolicyGradient(steps=10, learning_rate=2e-3), on_policy, tmp_path / "out")
    for completion, advantage in GROUPED:
        before, after = (sum(logprobs(folder, PROMPT + completion)[len(PROMPT) - 1 :]) for folder in (start, tmp_path / "out"))
        assert (after - before) * advantage > 0


def test_ratios_are_to_the_policy_that_sampled(train: Train, tmp_path: Path) -> None:
    stale = group({tuple(c): [-0.01] * len(c) for c, _ in GROUPED})  # far likelier then than now: every ratio is near 1/25
    figures = train(PolicyGradient(steps=1), stale, tmp_path / "out")
    assert figures["clip_share"] == pytest.approx(5 / 10)  # tokens of negative advantage, whose ratio counts as 0.8
    assert figures["kl_old"] > 1.0


def test_the_clip_stops_what_the_ratio_alone_would_not(train: Train, tmp_path: Path, on_policy: pa.Table) -> None:
    free = train(PolicyGradient(steps=15, learning_rate=3e-3, clip_low=1.0, clip_high=1e6), on_policy, tmp_path / "free")
    held = train(PolicyGradient(steps=15, learning_rate=3e-3), on_policy, tmp_path / "held")
    assert free["clip_share"] == 0.0 < held["clip_share"]
    assert held["kl_old"] < free["kl_old"]


def test_a_reference_is_stayed_near(train: Train, tmp_path: Path, start: Path, logprobs: Score) -> None:
    own = group(said_by(start, logprobs), said_by(start, logprobs))
    near, far = (
        train(PolicyGradient(steps=10, learning_rate=3e-3, kl_coefficient=weight), own, tmp_path / f"{weight}") for weight in (5.0, 1e-9)
    )
    assert 0 < near["kl_reference"] < 0.5 * far["kl_reference"]


def test_divergence_is_from_the_reference_of_the_examples(
    train: Train, tmp_path: Path, compared: pa.Table, start: Path, other: Path, logprobs: Score
) -> None:
    figures = train(PolicyGradient(steps=1, normalise="dapo", kl_coefficient=0.5), compared, tmp_path / "out")
    total = 0.0
    for completion, _ in GROUPED:
        ours, theirs = (logprobs(folder, PROMPT + completion)[len(PROMPT) - 1 :] for folder in (start, other))
        total += sum(math.exp(b - a) - 1 - (b - a) for a, b in zip(ours, theirs, strict=True))
    assert figures["kl_reference"] == pytest.approx(total / 10, abs=1e-5)
    assert figures["loss_first"] == pytest.approx(0.1 + 0.5 * total / 10, abs=1e-5)


def test_a_reference_that_nobody_scored_is_asked_for(train: Train, tmp_path: Path, on_policy: pa.Table) -> None:
    with pytest.raises(UserError, match=r'4 of 4 examples have none; add a verify stage with Likelihood\(model="previous"\)'):
        train(PolicyGradient(kl_coefficient=0.1), on_policy, tmp_path / "out")


def test_weights_of_rows_multiply_their_losses(train: Train, tmp_path: Path, on_policy: pa.Table) -> None:
    weighted = on_policy.set_column(on_policy.schema.get_field_index("weight"), "weight", pa.array([2.0, 1.0, None, 1.0]))
    figures = train(PolicyGradient(steps=1, normalise="dapo"), weighted, tmp_path / "out")
    assert figures["loss_first"] == pytest.approx(-(2 - 3 + 2 - 1) / 10, abs=1e-5)


@pytest.mark.parametrize(("rate", "high"), [(0.3, 0.3), (0.55, 0.25), (0.8, 0.2), (0.1, 0.3), (1.0, 0.2)])
def test_adpo_widens_the_clip_of_what_is_seldom_solved(rate: float, high: float) -> None:
    assert PolicyGradient(clip_widening=0.1)._high(np.array([rate])).tolist() == pytest.approx([high])


def test_entropy_is_that_of_the_distributions_drawn_from(train: Train, tmp_path: Path, on_policy: pa.Table, start: Path) -> None:
    model = load_model(start, dtype="float32", device="cpu")
    total = 0.0
    for completion, _ in GROUPED:
        said = model(input_ids=torch.tensor([PROMPT + completion])).logits[0, len(PROMPT) - 1 : -1].log_softmax(-1)
        total -= (said.exp() * said).sum().item()
    assert train(PolicyGradient(steps=1), on_policy, tmp_path / "out")["entropy"] == pytest.approx(total / 10, abs=1e-5)


def test_every_labelled_token_needs_its_old_log_probability(train: Train, tmp_path: Path) -> None:
    short = group({tuple(c): [-1.0] * (len(c) - (i == 2)) for i, (c, _) in enumerate(GROUPED)})
    with pytest.raises(SchemaMismatch, match="example e2 has 4 labelled tokens and 3 old_logprobs"):
        train(PolicyGradient(steps=1), short, tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalise": "dr_grpo"}, "normalise=dr_grpo and max_length=None"),
        ({"max_length": 24}, "normalise=grpo and max_length=24"),
    ],
)
def test_settings_that_need_each_other_come_together(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        PolicyGradient.model_validate(settings)


def test_examples_without_a_reference_can_be_learned_without_the_divergence(
    train: Train, on_policy: pa.Table, compared: pa.Table, tmp_path: Path
) -> None:
    near = PolicyGradient(steps=1, kl_coefficient=0.1, kl_where="given")
    everywhere, given, nowhere = (
        train(trainer, examples, tmp_path / name)["kl_reference"]
        for name, trainer, examples in (
            ("everywhere", near.model_copy(update={"kl_where": "everywhere"}), compared),
            ("given", near, compared),
            ("nowhere", near, on_policy),
        )
    )
    assert everywhere == given > 0
    assert nowhere == 0
    half = pa.concat_tables([compared.slice(0, 2), on_policy.slice(2)])
    assert 0 < train(near, half, tmp_path / "half")["kl_reference"] < given
