from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from lib.errors import UserError
from lib.records import STEP
from lib.trainers.rows import Ragged
from lib.trainers.values import BradleyTerry, Pointwise
from lib.trainers.valuing import at_ends, at_steps
from tests.lib.trainers.formulas import exact

LOGITS, TARGETS, WEIGHTS = [[0.4, -1.2], [2.0, 0.0]], [[1.0, 0.25], [0.0, 0.0]], [[1.0, 0.5], [2.0, 0.0]]


def steps(*rows: tuple[list[int], int, float], weight: float | None = None) -> pa.Table:
    return STEP.table(
        [
            {"example_id": f"e{i}", "problem_id": "p", "input_ids": ids, "step": i, "position": at, "target": target, "weight": weight}
            for i, (ids, at, target) in enumerate(rows)
        ]
    )


@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_losses_of_places_are_the_written_formula(loss: Any) -> None:
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    there = torch.tensor([[True, True], [True, False]])
    values = {"targets": torch.tensor(TARGETS, dtype=torch.float64), "weights": torch.tensor(WEIGHTS, dtype=torch.float64)}
    terms = Pointwise(loss)(logits, {**values, "there": there, "divisor": exact(3.0)[0]})
    terms.loss.backward()  # type: ignore[no-untyped-call]
    total, slopes = 0.0, []
    for i, j in ((0, 0), (0, 1), (1, 0)):
        p, z, w = 1 / (1 + math.exp(-LOGITS[i][j])), TARGETS[i][j], WEIGHTS[i][j]
        total += w * (-z * math.log(p) - (1 - z) * math.log(1 - p) if loss == "bce" else (p - z) ** 2) / 3
        slopes.append(w * (p - z if loss == "bce" else 2 * (p - z) * p * (1 - p)) / 3)
    assert terms.loss.item() == pytest.approx(total, abs=1e-12)
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == pytest.approx([*slopes, 0.0], abs=1e-12)
    assert terms.figures["accuracy_last"] == (2.0, 3)  # the second text is valued 0.88 and worth 0


def test_bradley_terry_asks_for_its_margin() -> None:
    logits = torch.tensor([[1.0], [0.5], [0.0], [2.0]], dtype=torch.float64, requires_grad=True)
    columns = {"targets": exact(0.2, 0.2, 1.0, 1.0)[:, None], "weights": exact(1.0, 1.0, 3.0, 3.0)[:, None], "divisor": exact(4.0)[0]}
    terms = BradleyTerry()(logits, columns)
    terms.loss.backward()  # type: ignore[no-untyped-call]
    by_hand = (math.log1p(math.exp(-(0.5 - 0.2))) + 3 * math.log1p(math.exp(-(-2.0 - 1.0)))) / 2
    assert terms.loss.item() == pytest.approx(by_hand, abs=1e-12)
    assert logits.grad is not None
    slopes = [-0.5 / (1 + math.exp(0.3)), -1.5 / (1 + math.exp(-3.0))]
    assert logits.grad[:, 0].tolist() == pytest.approx([slopes[0], -slopes[0], slopes[1], -slopes[1]], abs=1e-12)
    assert terms.figures["accuracy_last"] == (1.0, 2)


def test_the_steps_of_one_text_are_read_in_one_pass() -> None:
    table = steps(([1, 2, 3, 4], 3, 0.5), ([1, 2], 1, 1.0), ([1, 2, 3, 4], 1, 0.75))
    marked = at_steps(table)
    assert marked.lengths.tolist() == [4, 2]
    batch = marked(np.array([1, 0]), np.array([0, 1]))
    assert batch["input_ids"].tolist() == [[1, 2, 0, 0], [1, 2, 3, 4]]
    assert batch["places"].tolist() == [[1, 0], [1, 3]]
    assert batch["targets"].tolist() == [[1.0, 0.0], [0.75, 0.5]]
    assert batch["weights"].tolist() == [[1.0, 0.0], [1.0, 1.0]]
    assert batch["there"].tolist() == [[True, False], [True, True]]
    assert batch["divisor"].item() == 3.0


def test_a_whole_row_is_valued_at_its_last_token() -> None:
    marked = at_ends(Ragged(np.array([1, 2, 3, 4, 5]), np.array([0, 3, 5])), np.array([1.0, 0.0]), np.ones(2))
    batch = marked(np.array([0, 1]), np.array([0, 1]))
    assert (batch["places"].tolist(), batch["attention_mask"].tolist()) == ([[2], [1]], [[1, 1, 1], [1, 1, 0]])


def test_a_position_beyond_its_row_is_named() -> None:
    with pytest.raises(UserError, match="example e1 has position 2, and 2 input_ids"):
        at_steps(steps(([1, 2], 1, 1.0), ([1, 2], 2, 1.0)))
