from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lib import models
from lib.engine_kinds import Reading
from lib.engines.classifier import Classifier
from lib.errors import UserError
from lib.protocols import Machine, silent
from lib.records import STEP, UNPAIRED
from lib.trainers.outcome_value import OutcomeValue
from lib.trainers.pair_value import PairValue
from lib.trainers.reward import Reward
from lib.trainers.step_value import StepValue
from tests.lib.trainers.examples import ROWS, table

QUESTION = [{"role": "user", "content": "1,5,8>45:"}]
STEPS = ["8+1=9;", "9*5=45;", "45*1=45;"]


def train(trainer: Any, start: Path, given: Any, out: Path) -> dict[str, float]:
    return dict(trainer.train({"start": start}, given, out, 0, Machine()))


def logits(folder: Path, ids: list[int]) -> list[float]:
    model = models.load_classifier(folder, dtype="float32", device="cpu")
    with torch.no_grad():
        return [float(row[0]) for row in model(input_ids=torch.tensor([ids])).logits.reshape(-1, 1)]


@pytest.fixture(scope="module")
def head(start: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Value models of either kind to go on from, so that a first loss can be worked out."""
    at = tmp_path_factory.mktemp("heads")
    barely = {"steps": 1, "learning_rate": 1e-3}
    train(StepValue.model_validate(barely), start, table("step"), at / "token")
    train(Reward.model_validate(barely), start, table("pair"), at / "sequence")
    return {"token": at / "token", "sequence": at / "sequence"}


def test_the_classifier_engine_reads_what_was_learned_at_each_step(tmp_path: Path, start: Path) -> None:
    tokenizer = models.load_tokenizer(start)
    ids = list(tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True, return_dict=False))
    rows, targets = [], [0.9, 0.5, 0.2]
    for step in STEPS:
        ids += tokenizer(step, add_special_tokens=False)["input_ids"]
        rows.append(len(ids) - 1)
    given = STEP.table(
        [
            {"example_id": f"e{i}", "problem_id": "p", "input_ids": ids, "step": i + 1, "position": at, "target": target}
            for i, (at, target) in enumerate(zip(rows, targets, strict=True))
        ]
    )
    figures = train(StepValue(steps=60, learning_rate=5e-3), start, given, tmp_path / "out")
    (read,) = Classifier().open(tmp_path / "out", "m", Machine()).read([Reading(QUESTION, STEPS)], silent)
    assert read is not None
    found = [1 / (1 + math.exp(-step[0])) for step in read]
    assert [len(step) for step in read] == [1, 1, 1]
    assert found == pytest.approx(targets, abs=0.1)
    assert figures["error_last"] < 0.1


@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_an_outcome_is_valued_at_the_last_token(tmp_path: Path, head: dict[str, Path], loss: Any) -> None:
    figures = train(OutcomeValue(steps=1, loss=loss), head["token"], table("unpaired"), tmp_path / "out")
    total = 0.0
    for _, prompt, completion, worth in ROWS:
        p = 1 / (1 + math.exp(-logits(head["token"], prompt + completion)[-1]))
        total += (-math.log(p if worth else 1 - p) if loss == "bce" else (p - worth) ** 2) / len(ROWS)
    assert figures["loss_first"] == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize(
    ("trainer", "kind"), [(PairValue(steps=1, margin_scale=0.5), "token"), (Reward(steps=1, margin_scale=0.5), "sequence")]
)
def test_a_pair_must_differ_by_its_margin(tmp_path: Path, head: dict[str, Path], trainer: Any, kind: str) -> None:
    figures = train(trainer, head[kind], table("pair"), tmp_path / "out")
    total = 0.0
    for good, bad in zip(ROWS[::2], ROWS[1::2], strict=True):
        ahead = logits(head[kind], good[1] + good[2])[-1] - logits(head[kind], bad[1] + bad[2])[-1]
        total += math.log1p(math.exp(-(ahead - 0.5))) / 4
    assert figures["loss_first"] == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("trainer", [PairValue(steps=30, learning_rate=3e-3), Reward(steps=30, learning_rate=3e-3)])
def test_pairs_are_told_apart(tmp_path: Path, start: Path, trainer: Any) -> None:
    figures = train(trainer, start, table("pair"), tmp_path / "out")
    assert figures["accuracy_last"] == 1.0
    assert figures["margin_last"] > 0.5


def test_targets_that_are_no_shares_are_refused(tmp_path: Path, start: Path) -> None:
    rows = [{"example_id": "e", "problem_id": "p", "input_ids": [1, 5], "labels": [-100, 5], "target": -1.0}]
    with pytest.raises(UserError, match="OutcomeValue takes targets between 0 and 1, and 1 of 1 examples have another"):
        train(OutcomeValue(), start, UNPAIRED.table(rows), tmp_path / "out")


def test_a_value_model_grows_on_an_earlier_one(tmp_path: Path, head: dict[str, Path], furthest: Callable[[Path, Path], float]) -> None:
    train(StepValue(steps=1, learning_rate=1e-9, weight_decay=0.0), head["token"], table("step"), tmp_path / "out")
    assert furthest(tmp_path / "out", head["token"]) < 1e-6
