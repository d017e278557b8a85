from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lib.trainers.policy_gradients import Clipped, NegativeAware
from tests.lib.trainers.formulas import LABELS, LOGPROBS, differ, drawn, exact, tokens

ONE = torch.tensor([[-100, 5]])


def batch(weight: tuple[float, ...], divisor: float, labels: Tensor = LABELS, **others: Tensor) -> dict[str, Tensor]:
    return {"labels": labels, "weight": exact(*weight), "divisor": exact(divisor)[0], "high": exact(*[0.2] * len(weight)), **others}


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
    given = batch((1.0,), 1.0, ONE, old_logprobs=exact(-1.0)[None], advantage=exact(advantage))
    terms = Clipped(0.2, 0.0)(exact(-1.0 + log_ratio)[None], given)
    assert terms.loss.item() == pytest.approx(loss, abs=1e-12)
    assert terms.figures["clip_share"][0].item() == (loss in (-1.2, 0.8))


@pytest.mark.parametrize(("high", "loss"), [(0.28, -1.28), (0.7, -math.exp(0.5)), (math.inf, -math.exp(0.5))])
def test_the_two_sides_of_the_clip_are_set_apart(high: float, loss: float) -> None:
    given = batch((1.0,), 1.0, ONE, old_logprobs=exact(0.0)[None], advantage=exact(1.0)) | {"high": exact(high)}
    assert Clipped(0.1, 0.0)(exact(0.5)[None], given).loss.item() == pytest.approx(loss)


def test_on_policy_gradient_is_minus_advantage_over_the_normaliser() -> None:
    scores = LOGPROBS.clone().requires_grad_()
    given = batch((0.5, 0.25), 3.0, old_logprobs=LOGPROBS, advantage=exact(1.5, -2.0))
    Clipped(0.2, 0.0)(scores, given).loss.backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-1.5 * 0.5 / 3, 0.0, -1.5 * 0.5 / 3], [2.0 * 0.25 / 3] * 3]


@pytest.mark.parametrize("by_sequence", [False, True])
def test_the_clipped_loss_is_the_written_formula(by_sequence: bool) -> None:
    old, reference, advantage, high = drawn(11, spread=0.4), drawn(12), (0.7, -1.1), (0.3, 0.1)

    def formula(scores: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for i in range(2):
            triples = list(zip(tokens(scores, i), tokens(old, i), tokens(reference, i), strict=True))
            whole = torch.exp(sum(ours - theirs for ours, theirs, _ in triples) / len(triples))
            for ours, theirs, ref in triples:
                ratio = whole if by_sequence else torch.exp(ours) / torch.exp(theirs)
                kept = ratio if 0.8 <= ratio <= 1 + high[i] else ratio.detach().clamp(0.8, 1 + high[i])
                free, clipped = ratio * advantage[i], kept * advantage[i]
                against = torch.exp(ref) / torch.exp(ours)
                total = total - (free if free <= clipped else clipped) + 0.05 * (against - torch.log(against) - 1)
        return total / 5

    given = batch((1.0, 1.0), 5.0, old_logprobs=old, reference_logprobs=reference, advantage=exact(*advantage)) | {"high": exact(*high)}
    assert differ(Clipped(0.2, 0.05, by_sequence), given, formula, drawn(13, spread=0.4)) < 1e-12


def test_the_divergence_counts_only_where_it_is_told_to() -> None:
    old, reference, scores = drawn(11), drawn(12), drawn(13)
    common = {"old_logprobs": old, "reference_logprobs": reference, "advantage": exact(0.0, 0.0)}
    both, first, second, none = (
        Clipped(0.2, 0.05)(scores, batch((1.0, 1.0), 5.0, **common, near=exact(*near))).loss.item()
        for near in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))
    )
    assert none == 0
    assert first > 0 < second
    assert first + second == pytest.approx(both) == Clipped(0.2, 0.05)(scores, batch((1.0, 1.0), 5.0, **common)).loss.item()


@pytest.mark.parametrize(
    ("omega", "right", "wrong"),
    [(0.75, 0.75, -0.25), (math.sqrt(3), 1.7320508, -0.5773503)],  # Dr.GRPO's advantages, and those over the population deviation
)
def test_on_policy_coefficients_of_nft_are_advantages(omega: float, right: float, wrong: float) -> None:
    scores = LOGPROBS.clone().requires_grad_()
    given = batch((omega, omega), 1.0, old_logprobs=LOGPROBS, pass_rate=exact(0.25, 0.25), correct=exact(1.0, 0.0))
    NegativeAware(1.0)(scores, given).loss.backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert (-scores.grad[0, [0, 2]]).tolist() == pytest.approx([right] * 2, abs=1e-6)
    assert (-scores.grad[1]).tolist() == pytest.approx([wrong] * 3, abs=1e-6)


def test_the_negative_clamp_changes_the_value_and_not_the_argument_s_gradient() -> None:
    old, rate = drawn(11, spread=0.4), (0.25, 0.6)

    def formula(scores: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for ours, theirs in zip(tokens(scores, 0), tokens(old, 0), strict=True):
            total = total - 0.75 * (ours - theirs)
        for ours, theirs in zip(tokens(scores, 1), tokens(old, 1), strict=True):
            argument = (1 - rate[1] * torch.exp(ours - theirs)) / (1 - rate[1])
            value = max(argument.item(), 1.0)
            # -log of the clamped value, with the slope -1/value of the logarithm there on the argument before the clamp
            total = total + 0.4 * (-math.log(value) - (argument - argument.detach()) / value)
        return total / 5

    given = batch((0.75, 0.4), 5.0, old_logprobs=old, pass_rate=exact(*rate), correct=exact(1.0, 0.0))
    assert differ(NegativeAware(1.0), given, formula, drawn(13, spread=0.4)) < 1e-12


def test_a_ratio_beyond_the_exponent_s_clamp_has_no_gradient() -> None:
    scores = exact(-1.0)[None].requires_grad_()
    given = batch((1.0,), 1.0, ONE, old_logprobs=exact(-12.0)[None], pass_rate=exact(0.5), correct=exact(0.0))
    terms = NegativeAware(1.0)(scores, given)
    terms.loss.backward()  # type: ignore[no-untyped-call]
    assert terms.loss.item() == 0.0
    assert scores.grad is not None
    assert scores.grad.item() == 0.0
