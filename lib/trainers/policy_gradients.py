"""Losses of grouped completions, a number for each token: clipped policy gradients, and negative-aware fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lib.records import IGNORED
from lib.trainers.objective import Batch, Terms, k3, over_tokens, reduced

MOST_LOG_RATIO = 10.0
"""Of π / π_old in Nft: its exponent is clamped there."""


@dataclass(frozen=True, slots=True)
class Clipped:
    """l = -min(ρA, clip(ρ, 1 - low, 1 + high) A) + β k3, with ρ = π / π_old of the token, or exp((l - l_old) / |y|) of its row.

    `advantage`, `high` (rows,), `old_logprobs` and, where β > 0, `reference_logprobs` (rows, length - 1) come with the batch;
    `near` (rows,) may, which is 0 where β does not count.
    """

    low: float
    kl_coefficient: float
    by_sequence: bool = False

    def __call__(self, logprobs: Tensor, batch: Batch) -> Terms:
        advantage = batch["advantage"][:, None]
        log_ratio = logprobs - batch["old_logprobs"]
        ratio = (_row_means(log_ratio, batch) if self.by_sequence else log_ratio).exp()
        clipped = torch.minimum(ratio.clamp(min=1 - self.low), 1 + batch["high"][:, None]) * advantage
        loss = -torch.minimum(ratio * advantage, clipped)
        figures = {
            "clip_share": over_tokens((clipped < ratio * advantage).float(), batch),
            "kl_old": over_tokens(log_ratio.exp() - 1 - log_ratio, batch),  # of KL(π_old ‖ π), whose samples these are
        }
        if self.kl_coefficient:
            kl = k3(logprobs, batch["reference_logprobs"])
            kl = kl * batch["near"][:, None] if "near" in batch else kl
            loss = loss + self.kl_coefficient * kl
            figures["kl_reference"] = over_tokens(kl, batch)
        return Terms(reduced(loss, batch), figures)


@dataclass(frozen=True, slots=True)
class NegativeAware:
    """l = -log R of a correct row's tokens, -log max((1 - r R)/(1 - r), ε) of a wrong one's, with R = π / π_old.

    The value is clamped and the gradient is that of the argument before the clamp. `pass_rate` r, `correct` (1 or 0)
    (rows,) and `old_logprobs` (rows, length - 1) come with the batch.
    """

    floor: float

    def __call__(self, logprobs: Tensor, batch: Batch) -> Terms:
        rate, correct = batch["pass_rate"][:, None], batch["correct"][:, None] > 0
        log_ratio = (logprobs - batch["old_logprobs"]).clamp(max=MOST_LOG_RATIO)
        argument = (1 - rate * log_ratio.exp()) / (1 - rate)
        straight = argument + (argument.clamp(min=self.floor) - argument).detach()
        figures = {
            "clip_share": over_tokens(((argument < self.floor) & ~correct).float(), batch),
            "kl_old": over_tokens(log_ratio.exp() - 1 - log_ratio, batch),
        }
        return Terms(reduced(torch.where(correct, -log_ratio, -straight.log()), batch), figures)


def _row_means(values: Tensor, batch: Batch) -> Tensor:
    """Each row's mean over its labelled tokens, at each of them."""
    labelled = batch["labels"][:, 1:] != IGNORED
    return (values * labelled).sum(1, keepdim=True) / labelled.sum(1, keepdim=True).clamp(min=1) * labelled
