from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lib.errors import UserError
from lib.protocols import Machine
from lib.records import IGNORED
from lib.trainers.kto import Kto, _mismatched
from lib.trainers.rows import Sequences
from tests.lib.trainers.examples import ROWS, table

Score = Callable[[Path, list[int]], list[float]]
RING = np.array([3, 0, 6, 1, 7, 2, 5, 4])


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def ratio(logprobs: Score, start: Path, other: Path, prompt: list[int], completion: list[int]) -> float:
    ours, theirs = (sum(logprobs(folder, prompt + completion)[len(prompt) - 1 :]) for folder in (start, other))
    return ours - theirs


def test_a_row_s_stranger_is_its_prompt_with_the_next_completion() -> None:
    strangers = _mismatched(Sequences.of(table("unpaired")), RING)
    after = dict(zip(RING.tolist(), np.roll(RING, -1).tolist(), strict=True))
    for row, (_, prompt, _, _) in enumerate(ROWS):
        theirs = ROWS[after[row]][2]
        span = slice(*strangers.ids.bounds[row : row + 2])
        assert strangers.ids.values[span].tolist() == prompt + theirs
        assert strangers.labels.values[span].tolist() == [IGNORED] * len(prompt) + theirs
        assert strangers.labelled[row] == len(theirs)


@pytest.mark.parametrize("loss_type", ["kto", "apo_zero_unpaired"])
def test_the_first_loss_is_that_of_the_formula(tmp_path: Path, start: Path, other: Path, logprobs: Score, loss_type: str) -> None:
    trainer = Kto.model_validate({"steps": 1, "beta": 0.5, "loss_type": loss_type, "undesirable_weight": 1.5})
    figures = trainer.train({"start": start, "reference": other}, table("unpaired"), tmp_path / "out", 0, Machine())
    ring = np.random.default_rng(0).permutation(len(ROWS)).tolist()
    after = dict(zip(ring, [*ring[1:], ring[0]], strict=True))
    z = 0.0
    if loss_type == "kto":
        z = max(0.0, sum(ratio(logprobs, start, other, ROWS[i][1], ROWS[after[i]][2]) for i in range(8)) / 8)
    total = 0.0
    for _, prompt, completion, worth in ROWS:
        ahead = ratio(logprobs, start, other, prompt, completion)
        total += 1 - sigmoid(0.5 * (ahead - z)) if worth else 1.5 * (1 - sigmoid(0.5 * (z - ahead)))
    assert figures["loss_first"] == pytest.approx(total / 8, abs=1e-5)
    assert figures["kl_last"] == pytest.approx(z, abs=1e-5)


def test_other_targets_are_refused(tmp_path: Path, start: Path) -> None:
    given = table("unpaired")
    doubtful = given.set_column(given.schema.get_field_index("target"), "target", pa.array([0.5] + [1.0] * 7))
    with pytest.raises(UserError, match="1 of 8 examples have another"):
        Kto().train({"start": start}, doubtful, tmp_path / "out", 0, Machine())
