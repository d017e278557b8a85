from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib.errors import UserError
from lib.models import load_model, load_tokenizer
from lib.protocols import Machine
from lib.records import IGNORED, SFT
from lib.small_model import SmallLlama
from lib.trainers.plain_sft import PlainSft
from lib.trainers.sft import Sft

EOS = 2
ROWS = [  # prompt, completion: of several lengths, some cut off before the end-of-text token
    ([1, 5, 6, 3], [8, 9, 10, EOS]),
    ([1, 7, 3], [11, 12]),
    ([1, 8, 9, 10, 3], [13, 14, 15, 16, 17, EOS]),
    ([1, 6, 3], [18, EOS]),
    ([1, 5, 3], [19, 20, 21]),
    ([1, 9, 9, 3], [22, 23, EOS]),
]
Train = Callable[..., dict[str, float]]


def examples(weights: list[float] | None = None) -> pa.Table:
    rows = [
        {
            "example_id": f"e{i}",
            "problem_id": f"p{i}",
            "input_ids": prompt + completion,
            "labels": [IGNORED] * len(prompt) + completion,
            "weight": weights[i] if weights else 1.0,
        }
        for i, (prompt, completion) in enumerate(ROWS)
    ]
    return SFT.table(rows)


@pytest.fixture
def train(start: Path) -> Train:
    def by(trainer: Sft | PlainSft, out: Path, *, table: pa.Table | None = None, seed: int = 0, **machine: Any) -> dict[str, float]:
        return trainer.train({"start": start}, examples() if table is None else table, out, seed, Machine(**machine))

    return by


def losses(start: Path, logprobs: Callable[[Path, list[int]], list[float]]) -> list[float]:
    """-log π of each row's completion, by hand."""
    return [-sum(logprobs(start, prompt + completion)[len(prompt) - 1 :]) for prompt, completion in ROWS]


def test_the_model_sees_the_rows_and_nothing_else(train: Train, tmp_path: Path, seen_ids: list[list[list[int]]]) -> None:
    train(Sft(steps=2), tmp_path / "out")
    rows = sorted(prompt + completion for prompt, completion in ROWS)
    assert len(seen_ids) == 2
    for batch in seen_ids:
        assert sorted([token for token in row if token] for row in batch) == rows  # 0 pads and is in no row
        assert all(row == [token for token in row if token] + [0] * row.count(0) for row in batch)


def test_first_loss_is_the_mean_over_labelled_tokens(
    train: Train, tmp_path: Path, start: Path, logprobs: Callable[[Path, list[int]], list[float]]
) -> None:
    figures = train(Sft(steps=1), tmp_path / "out")
    tokens = sum(len(completion) for _, completion in ROWS)
    assert figures["loss_first"] == pytest.approx(sum(losses(start, logprobs)) / tokens, abs=1e-5)
    assert figures["tokens_trained"] == tokens
    assert figures["steps"] == 1


def test_weights_multiply_the_losses_of_rows_but_not_the_tokens(
    train: Train, tmp_path: Path, start: Path, logprobs: Callable[[Path, list[int]], list[float]]
) -> None:
    weights = [2.0, 0.0, -0.5, 1.0, 0.25, 3.0]
    figures = train(Sft(steps=1), tmp_path / "out", table=examples(weights))
    by_hand = sum(w * loss for w, loss in zip(weights, losses(start, logprobs), strict=True))
    assert figures["loss_first"] == pytest.approx(by_hand / sum(len(completion) for _, completion in ROWS), abs=1e-5)


def test_it_trains_as_trl_does_on_the_same_rows(
    train: Train, tmp_path: Path, start: Path, weights: Callable[[Path], dict[str, Any]]
) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    train(Sft(steps=3, schedule="constant", warmup_share=0.0, weight_decay=0.1), tmp_path / "ours")
    model = load_model(start, dtype="float32", device="cpu")
    rows = Dataset.from_dict({name: examples()[name].to_pylist() for name in ("input_ids", "labels")})
    with tempfile.TemporaryDirectory() as scratch:
        config = SFTConfig(
            scratch, max_steps=3, per_device_train_batch_size=6, learning_rate=1.5e-3, lr_scheduler_type="constant",
            adam_beta2=0.98, weight_decay=0.1, use_cpu=True, bf16=False, activation_checkpointing=False, report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True, dataloader_pin_memory=False,
        )  # fmt: skip
        SFTTrainer(model, config, train_dataset=rows, processing_class=load_tokenizer(start)).train()
    ours, before = weights(tmp_path / "ours"), weights(start)
    for name, theirs in model.state_dict().items():
        if name in ours:
            assert (ours[name] - theirs).abs().max().item() < 2e-5  # AdamW magnifies the rounding of small gradients
            assert (ours[name] - before[name]).abs().max().item() > 1e-3


def test_plain_sft_through_trl_learns_the_same(train: Train, tmp_path: Path, furthest: Callable[[Path, Path], float], start: Path) -> None:
    shared = {"steps": 4, "batch_size": 4, "learning_rate": 5e-4}
    ours, theirs = (train(kind.model_validate(shared), tmp_path / kind.__name__) for kind in (Sft, PlainSft))
    assert theirs == pytest.approx(ours, abs=1e-5)
    assert furthest(tmp_path / "Sft", tmp_path / "PlainSft") < 1e-5 < furthest(tmp_path / "Sft", start)


def test_plain_sft_refuses_weights(train: Train, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="PlainSft gives every example the same weight, and 1 of 6 examples have one other than 1"):
        train(PlainSft(), tmp_path / "out", table=examples([1.0, 2.0, 1.0, 1.0, 1.0, 1.0]))


def test_dropout_can_be_left_out(train: Train, tmp_path: Path, furthest: Callable[[Path, Path], float]) -> None:
    dropping = tmp_path / "dropping"
    SmallLlama(hidden_size=32, layers=2, heads=2, intermediate_size=64, max_positions=32, attention_dropout=0.5).build(dropping, 0)
    figures = {
        (dropout, seed): Sft(steps=1, dropout=dropout).train(
            {"start": dropping}, examples(), tmp_path / f"{dropout}{seed}", seed, Machine()
        )
        for dropout in (True, False)
        for seed in (1, 2)
    }
    assert figures[True, 1]["loss_first"] != figures[True, 2]["loss_first"]
    assert figures[False, 1]["loss_first"] == pytest.approx(figures[False, 2]["loss_first"], abs=1e-6)


def test_a_reference_that_nobody_scored_is_asked_for(train: Train, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'6 of 6 examples have none; add a verify stage with Likelihood\(model="previous"\)'):
        train(Sft(kl_coefficient=0.1), tmp_path / "out")


def test_the_learning_rate_follows_the_schedule(train: Train, tmp_path: Path, furthest: Callable[[Path, Path], float]) -> None:
    train(Sft(steps=2, schedule="linear", warmup_share=0.0, min_lr_share=0.0), tmp_path / "second step at nothing")
    train(Sft(steps=1), tmp_path / "one step")
    assert furthest(tmp_path / "second step at nothing", tmp_path / "one step") == 0.0


@pytest.mark.parametrize("micro_batch", [1, 2, 4])
def test_the_micro_batch_changes_nothing_but_rounding(
    train: Train, tmp_path: Path, micro_batch: int, furthest: Callable[[Path, Path], float]
) -> None:
    trainer = Sft(steps=6, batch_size=4, learning_rate=5e-4)
    table = examples([1.0, 2.0, 0.5, 1.0, 1.0, 0.1])
    whole = train(trainer, tmp_path / "whole", table=table)
    parts = train(trainer, tmp_path / "parts", table=table, micro_batch=micro_batch)
    assert parts["loss_last"] == pytest.approx(whole["loss_last"], abs=1e-5)
    assert furthest(tmp_path / "parts", tmp_path / "whole") < 1e-5


def test_same_seed_same_bytes_other_seed_other_weights(train: Train, tmp_path: Path) -> None:
    trainer = Sft(steps=4, batch_size=2)
    for name, seed in (("one", 7), ("same", 7), ("other", 8)):
        train(trainer, tmp_path / name, seed=seed)
    files = {name: {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "same", "other")}
    assert files["one"] == files["same"]
    assert files["one"]["model.safetensors"] != files["other"]["model.safetensors"]


def test_a_model_folder_comes_out_and_nothing_else(train: Train, tmp_path: Path, start: Path) -> None:
    train(Sft(steps=1), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in start.iterdir()}
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        assert (tmp_path / "out" / name).read_bytes() == (start / name).read_bytes()
    load_model(tmp_path / "out", dtype="float32", device="cpu")


def test_it_learns_the_rows_by_heart(train: Train, tmp_path: Path) -> None:
    figures = train(Sft(steps=60, learning_rate=1e-2), tmp_path / "out")
    assert figures["loss_first"] > 2.5
    assert figures["loss_last"] < 0.5


def test_bfloat16_computes_in_halves_and_keeps_whole_weights(
    train: Train, tmp_path: Path, weights: Callable[[Path], dict[str, Any]]
) -> None:
    whole = train(Sft(steps=2), tmp_path / "whole")
    half = train(Sft(steps=2, dtype="bfloat16"), tmp_path / "half")
    assert half["loss_last"] == pytest.approx(whole["loss_last"], rel=0.01)
    assert half["loss_last"] != whole["loss_last"]
    assert {str(tensor.dtype) for tensor in weights(tmp_path / "half").values()} == {"torch.float32"}


def test_every_step_is_reported(train: Train, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    train(Sft(steps=3, batch_size=4), tmp_path / "out", micro_batch=2, report=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_training_that_diverges_is_refused_and_saves_nothing(train: Train, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"diverged: the loss of step \d of 5 is .*lower learning_rate"):
        train(Sft(steps=5, learning_rate=1e30, warmup_share=0.0), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_example_without_labels_leaves_the_model_as_it_was(
    train: Train, tmp_path: Path, start: Path, furthest: Callable[[Path, Path], float]
) -> None:
    row = {"example_id": "e", "problem_id": "p", "input_ids": [1, 5, 3], "labels": [IGNORED] * 3, "weight": 1.0}
    figures = train(Sft(steps=2, weight_decay=0.0), tmp_path / "out", table=SFT.table([row]))
    assert not math.isnan(figures["loss_last"])
    assert furthest(tmp_path / "out", start) == 0.0
