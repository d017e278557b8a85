from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib.errors import SchemaMismatch, UserError
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
    return group({tuple(c): logprobs(start, PROMPT + c)[len(PROMPT) - 1 :] for c, _ in GROUPED})


def group(old: dict[tuple[int, ...], list[float]]) -> pa.Table:
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
        }
        for i, (completion, advantage) in enumerate(GROUPED)
    ]
    return GROUP.table(rows)


@pytest.fixture
def train(start: Path) -> Train:
    def by(trainer: PolicyGradient, table: pa.Table, out: Path, *, reference: Path | None = None, **machine: Any) -> dict[str, float]:
        models = {"start": start} | ({"reference": reference} if reference else {})
        return trainer.train(models, table, out, 0, Machine(**machine))

    return by


@pytest.mark.parametrize(
    ("settings", "loss"),
    [
        ({"normalise": "grpo"}, 0.0),  # -(1 - 1 + 0.5 - 0.5) / 4 rows
        ({"normalise": "dapo"}, 0.1),  # -(1 - 3 + 2 - 1) / 10 tokens
        ({"normalise": "dr_grpo", "max_length": 8}, 0.03125),  # 1 / (4 rows · 8)
    ],
)
def test_losses_of_tokens_become_one_number_in_three_ways(
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


def test_a_reference_is_stayed_near(train: Train, tmp_path: Path, on_policy: pa.Table, start: Path) -> None:
    near, far = (
        train(
            PolicyGradient(steps=10, learning_rate=3e-3, kl_coefficient=weight, reference="previous"),
            on_policy,
            tmp_path / f"{weight}",
            reference=start,
        )
        for weight in (5.0, 1e-9)
    )
    assert 0 < near["kl_reference"] < 0.5 * far["kl_reference"]


def test_divergence_is_from_the_reference(
    train: Train, tmp_path: Path, on_policy: pa.Table, start: Path, other: Path, logprobs: Score
) -> None:
    trainer = PolicyGradient(steps=1, normalise="dapo", kl_coefficient=0.5, reference="base")
    figures = train(trainer, on_policy, tmp_path / "out", reference=other)
    total = 0.0
    for completion, _ in GROUPED:
        ours, theirs = (logprobs(folder, PROMPT + completion)[len(PROMPT) - 1 :] for folder in (start, other))
        total += sum(math.exp(b - a) - 1 - (b - a) for a, b in zip(ours, theirs, strict=True))
    assert figures["kl_reference"] == pytest.approx(total / 10, abs=1e-5)
    assert figures["loss_first"] == pytest.approx(0.1 + 0.5 * total / 10, abs=1e-5)


@pytest.mark.parametrize("normalise", ["grpo", "dapo"])
def test_the_micro_batch_changes_nothing_but_rounding(
    train: Train, tmp_path: Path, on_policy: pa.Table, normalise: str, other: Path, furthest: Callable[[Path, Path], float]
) -> None:
    trainer = PolicyGradient.model_validate({"steps": 4, "normalise": normalise, "kl_coefficient": 0.1, "reference": "base"})
    whole = train(trainer, on_policy, tmp_path / "whole", reference=other)
    parts = train(trainer, on_policy, tmp_path / "parts", reference=other, micro_batch=1)
    assert parts == pytest.approx(whole, abs=1e-4)
    assert furthest(tmp_path / "parts", tmp_path / "whole") < 1e-5


def test_same_seed_same_bytes(train: Train, tmp_path: Path, on_policy: pa.Table) -> None:
    for name in ("one", "two"):
        train(PolicyGradient(steps=3, batch_size=2), on_policy, tmp_path / name)
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


def test_every_labelled_token_needs_its_old_log_probability(train: Train, tmp_path: Path) -> None:
    short = group({tuple(c): [-1.0] * (len(c) - (i == 2)) for i, (c, _) in enumerate(GROUPED)})
    with pytest.raises(SchemaMismatch, match="example e2 has 4 labelled tokens and 3 old_logprobs"):
        train(PolicyGradient(steps=1), short, tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalise": "dr_grpo"}, "normalise=dr_grpo and max_length=None"),
        ({"max_length": 24}, "normalise=grpo and max_length=24"),
        ({"kl_coefficient": 0.1}, "kl_coefficient=0.1 and reference=None"),
        ({"reference": "base"}, "kl_coefficient=0 and reference=base"),
    ],
)
def test_settings_that_need_each_other_come_together(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        PolicyGradient.model_validate(settings)


def test_no_examples_is_said(train: Train, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no examples to train on: the stage before PolicyGradient kept none"):
        train(PolicyGradient(), GROUP.empty(), tmp_path / "out")
