from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lib.records import IGNORED
from lib.trainers.objective import Clipped, k3, likelihood, reduced

# token log-probabilities (-0.5, -1.0) and (-0.2, -0.3, -0.4); the second position of the first row has no label
LABELS = torch.tensor([[IGNORED, 5, IGNORED, 5], [IGNORED, 5, 5, 5]])
LOGPROBS = torch.tensor([[-0.5, 0.0, -1.0], [-0.2, -0.3, -0.4]], dtype=torch.float64)


def batch(weight: list[float], divisor: float, **others: Tensor) -> dict[str, Tensor]:
    return {
        "labels": LABELS,
        "weight": torch.tensor(weight, dtype=torch.float64),
        "divisor": torch.tensor(divisor, dtype=torch.float64),
        **others,
    }


@pytest.mark.parametrize(("weight", "loss"), [([1.0, 1.0], 0.48), ([2.0, 1.0], 0.78), ([2.0, 2.0], 0.96)])
def test_weighted_likelihood_is_divided_by_tokens(weight: list[float], loss: float) -> None:
    assert reduced(likelihood(LOGPROBS, {}).loss, batch(weight, 5.0)).item() == pytest.approx(loss, abs=1e-12)


def test_weight_one_is_plain_maximum_likelihood_to_the_last_bit() -> None:
    scores = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).masked_fill(LABELS[:, 1:] == IGNORED, 0.0)
    given = {"labels": LABELS, "weight": torch.ones(2), "divisor": torch.tensor(5.0)}
    assert reduced(likelihood(scores, {}).loss, given).item() == (-scores.sum() / 5.0).item()


@pytest.mark.parametrize(
    ("log_ratio", "advantage", "loss"),
    [
        (0.0, 2.0, -2.0),
        (0.5, 1.0, -1.2),  # ρ = 1.65 is clipped from above
        (0.5, -1.0, math.exp(0.5)),  # and not where that would hide a loss
        (-0.5, 1.0, -math.exp(-0.5)),
        (-0.5, -1.0, 0.8),
        (0.1, 1.0, -math.exp(0.1)),
    ],
)
def test_clipped_loss_by_hand(log_ratio: float, advantage: float, loss: float) -> None:
    given = {"old_logprobs": torch.tensor([[-1.0]]), "advantage": torch.tensor([advantage])}
    terms = Clipped(0.2, 0.2, 0.0)(torch.tensor([[-1.0 + log_ratio]]), given)
    assert terms.loss.item() == pytest.approx(loss, abs=1e-6)
    assert terms.figures["clip_share"].item() == (loss in (-1.2, 0.8))


def test_the_two_sides_of_the_clip_are_set_apart() -> None:
    given = {"old_logprobs": torch.zeros(1, 2), "advantage": torch.ones(1)}
    up = torch.tensor([[0.25, 0.5]])
    assert Clipped(0.1, 0.28, 0.0)(up, given).loss[0].tolist() == pytest.approx([-1.28, -1.28])
    assert Clipped(0.1, 0.30, 0.0)(up, given).loss[0].tolist() == pytest.approx([-math.exp(0.25), -1.30])


def test_on_policy_gradient_is_minus_advantage_over_the_normaliser() -> None:
    scores = LOGPROBS.clone().requires_grad_()
    given = batch([0.5, 0.25], 3.0, old_logprobs=LOGPROBS, advantage=torch.tensor([1.5, -2.0], dtype=torch.float64))
    reduced(Clipped(0.2, 0.2, 0.0)(scores, given).loss, given).backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-1.5 * 0.5 / 3, 0.0, -1.5 * 0.5 / 3], [2.0 * 0.25 / 3] * 3]


def test_gradient_is_that_of_the_written_formula() -> None:
    random = torch.Generator().manual_seed(1)
    old, reference = (torch.randn(2, 3, generator=random, dtype=torch.float64) - 2 for _ in range(2))
    advantage = torch.tensor([0.7, -1.1], dtype=torch.float64)
    ours = (old + torch.randn(2, 3, generator=random, dtype=torch.float64) * 0.4).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    given = batch([1.0, 1.0], 5.0, old_logprobs=old, reference_logprobs=reference, advantage=advantage)
    reduced(Clipped(0.2, 0.3, 0.05)(ours, given).loss, given).backward()
    _written_out(theirs, old, reference, advantage).backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert (ours.grad - theirs.grad).abs().max().item() < 1e-12
    assert ours.grad.abs().max().item() > 0.01


def _written_out(scores: Tensor, old: Tensor, reference: Tensor, advantage: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for i in range(2):
        for j in range(3):
            if LABELS[i, j + 1] == IGNORED:
                continue
            ratio = torch.exp(scores[i, j]) / torch.exp(old[i, j])
            kept = ratio if 0.8 <= ratio <= 1.3 else ratio.detach().clamp(0.8, 1.3)
            free, clipped = ratio * advantage[i], kept * advantage[i]
            against = torch.exp(reference[i, j]) / torch.exp(scores[i, j])
            total = total - (free if free <= clipped else clipped) + 0.05 * (against - torch.log(against) - 1)
    return total / 5


def test_k3_is_unbiased_for_the_divergence_and_never_negative() -> None:
    policy, reference = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
    estimates = k3(policy.log(), reference.log())
    assert estimates.tolist() == pytest.approx([0.1931472, 0.0945349], abs=1e-6)
    assert (policy * estimates).sum().item() == pytest.approx((policy * (policy / reference).log()).sum().item(), abs=1e-6)
