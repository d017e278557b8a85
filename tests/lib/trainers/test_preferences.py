from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.trainers.preferences import Preferring, SelfPlay, cdpo, dpo, ipo, robust, sppo
from tests.lib.trainers.formulas import FOUR, differ, drawn, exact, tokens

LN2 = math.log(2)
EPSILON, WEIGHT = (0.1, 0.3), (2.0, 0.5)
REFERENCE = drawn(7, FOUR)


def twice(*values: float) -> Tensor:
    """A number of each pair, for both of its rows."""
    return exact(*(value for value in values for _ in range(2)))


def batch(**more: Tensor) -> dict[str, Tensor]:
    sums = {"pairs": exact(2.0)[0], "nll_over": exact(2.0)[0]}
    return {"labels": FOUR, "weight": twice(*WEIGHT), "epsilon": twice(*EPSILON), "reference_logprobs": REFERENCE, **sums, **more}


@pytest.mark.parametrize("beta", [0.1, 2.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.25, 0.4])
def test_losses_are_ln_2_where_the_policy_is_the_reference(beta: float, epsilon: float) -> None:
    h, eps = exact(0.0), exact(epsilon)
    assert [dpo(h, beta).item(), cdpo(h, beta, eps).item(), robust(h, beta, eps).item()] == pytest.approx([LN2] * 3)
    assert ipo(h, 0.1).item() == pytest.approx(25.0)


def test_dpo_by_hand() -> None:
    h = exact(0.0).requires_grad_()
    dpo(h, 0.1).backward()  # type: ignore[no-untyped-call]
    assert h.grad is not None
    assert h.grad.item() == pytest.approx(-0.05)
    assert dpo(exact(5.0), 0.1).item() == pytest.approx(0.4740770, abs=1e-6)


def test_cdpo_is_least_where_the_doubt_is_met() -> None:
    least = math.log(0.75 / 0.25) / 0.1
    assert least == pytest.approx(10.9861229, abs=1e-6)
    at, below, above = (cdpo(exact(h), 0.1, exact(0.25)).item() for h in (least, least - 0.5, least + 0.5))
    assert at == pytest.approx(0.5623351, abs=1e-6)
    assert at < min(below, above)


def test_robust_dpo_is_unbiased_under_wrong_labels() -> None:
    h, eps = exact(3.0), exact(0.2)
    assert (0.8 * robust(h, 0.1, eps) + 0.2 * robust(-h, 0.1, eps)).item() == pytest.approx(dpo(h, 0.1).item(), abs=1e-12)


@pytest.mark.parametrize(
    ("deltas", "wins", "eta", "loss"),
    [
        ((0.3, -0.2), (0.5, 0.5), 1.0, 0.065),
        ((0.3, -0.2), (0.5, 0.5), 40.0, 0.065),
        ((0.0, 0.0), (0.5, 0.5), 4.0, 0.0),
        ((0.3, -0.2), (0.8, 0.3), 4.0, 0.585),
        ((0.0, 0.0), (0.8, 0.3), 4.0, 1.04),
    ],
)
def test_sppo_by_hand(deltas: tuple[float, float], wins: tuple[float, float], eta: float, loss: float) -> None:
    assert 0.5 * sppo(exact(*deltas)[None], exact(*wins)[None], eta).item() == pytest.approx(loss, abs=1e-12)


def delta(scores: Tensor, row: int, mean: bool, reference: bool = True) -> Any:
    values = tokens(scores, row, FOUR)
    total: Any = sum(values)
    if reference:
        total = total - sum(tokens(REFERENCE, row, FOUR))
    return total / len(values) if mean else total


def log_sigmoid(z: Any) -> Any:
    return -torch.log(1 + torch.exp(-z))


FORMULAS: dict[str, Callable[[Any, float], Any]] = {
    "dpo": lambda h, eps: -log_sigmoid(0.7 * h),
    "cdpo": lambda h, eps: -(1 - eps) * log_sigmoid(0.7 * h) - eps * log_sigmoid(-0.7 * h),
    "robust": lambda h, eps: (-(1 - eps) * log_sigmoid(0.7 * h) + eps * log_sigmoid(-0.7 * h)) / (1 - 2 * eps),
    "ipo": lambda h, eps: (h - 1 / 1.4) ** 2,
    "hinge": lambda h, eps: torch.relu(1 - 0.7 * h),
    "simpo": lambda h, eps: -log_sigmoid(0.7 * h - 0.2),
    "margin": lambda h, eps: torch.relu(5.0 - h),
}


@pytest.mark.parametrize("loss", FORMULAS)
@pytest.mark.parametrize("per_token", [False, True])
def test_a_preference_loss_is_the_written_formula(loss: Any, per_token: bool) -> None:
    compared = loss not in ("simpo", "margin")

    def formula(scores: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for pair in (0, 1):
            h = delta(scores, 2 * pair, per_token, compared) - delta(scores, 2 * pair + 1, per_token, compared)
            nll = -delta(scores, 2 * pair, mean=True, reference=False)
            total = total + WEIGHT[pair] * (FORMULAS[loss](h, EPSILON[pair]) + 0.4 * nll) / 2
        return total

    given = batch()
    if not compared:
        del given["reference_logprobs"]
    assert differ(Preferring(loss, 0.7, per_token, 0.2, 5.0, 0.4, nll_per_row=True), given, formula, drawn(5, FOUR)) < 1e-12


def test_sppo_is_the_written_formula() -> None:
    wins = (0.8, 0.3, 0.6, 0.45)

    def formula(scores: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for row, win in enumerate(wins):
            total = total + 0.5 * WEIGHT[row // 2] * (delta(scores, row, mean=False) - 4 * (win - 0.5)) ** 2 / 2
        return total

    assert differ(SelfPlay(4.0, 0.5), batch(win=exact(*wins)), formula, drawn(5, FOUR)) < 1e-12


def test_tokens_before_the_split_count_nowhere() -> None:
    scores = drawn(5, FOUR).requires_grad_()
    objective = Preferring("dpo", 0.7, per_token=False, gamma=0, least=0, nll_weight=0.4, nll_per_row=False)
    objective(scores, batch(split=twice(2.0, 0.0))).loss.backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert (scores.grad != 0).tolist() == [[False, False, True], [False, True, True], [True, True, True], [True, False, True]]


def test_accuracy_and_margin_are_those_of_the_implicit_rewards() -> None:
    scores = torch.zeros(4, 3, dtype=torch.float64)
    given = batch(reference_logprobs=torch.tensor([[-1.0], [0.0], [0.0], [-3.0]], dtype=torch.float64).expand(4, 3) * (FOUR[:, 1:] > 0))
    figures = Preferring("dpo", 0.5, False, 0, 0, 0, False)(scores, given).figures
    assert [(total.item(), count) for total, count in figures.values()] == [(1.0, 2), (0.5 * (2 - 6), 2)]
