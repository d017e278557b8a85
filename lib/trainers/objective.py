"""Losses over log-probabilities of labels: (rows, length - 1) tensors, zero where there is no label.

A loss L is a sum over tokens, L = Σ_i w_i Σ_j l_ij / Z, with Z taken over the whole global batch, so that it does not
depend on how many rows a machine holds at once. w and Z come with the batch as `weight` (rows,) and `divisor` ().
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lib.records import IGNORED

Batch = Mapping[str, Tensor]


class Terms(NamedTuple):
    """What an objective says of every token."""

    loss: Tensor
    figures: dict[str, Tensor]
    """Worth knowing beside the loss, without gradient; told as means over labelled tokens."""


class Objective(Protocol):
    """A loss per token from the log-probabilities of the labels."""

    def __call__(self, logprobs: Tensor, batch: Batch) -> Terms: ...


def token_logprobs(model: torch.nn.Module, batch: Batch) -> Tensor:
    """log π of every label given what stands before it: (rows, length - 1), zero where there is no label.

    On a GPU through TRL's fused head, which never holds the (tokens, vocabulary) logits; the model must have been given
    one. On the CPU the fused head costs a fifth of a small model's step, and the logits are taken from the model.
    """
    seen = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "use_cache": False}
    if batch["input_ids"].device.type != "cpu":
        return model(**seen, labels=batch["labels"], fused_lm_head=True).log_probs
    targets = batch["labels"][:, 1:]
    logits = model(**seen).logits[:, :-1]
    losses = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return -losses.view_as(targets)


def reduced(loss: Tensor, batch: Batch) -> Tensor:
    """Σ_i w_i Σ_j l_ij / Z over labelled tokens."""
    masked = loss.masked_fill(batch["labels"][:, 1:] == IGNORED, 0.0)
    return (masked * batch["weight"][:, None]).sum() / batch["divisor"]


def likelihood(logprobs: Tensor, batch: Batch) -> Terms:
    """l = -log π."""
    return Terms(-logprobs, {})


@dataclass(frozen=True, slots=True)
class Clipped:
    """l = -min(ρA, clip(ρ, 1 - low, 1 + high) A) + β k3, with ρ = π / π_old.

    `advantage` (rows,), `old_logprobs` and, where β > 0, `reference_logprobs` (rows, length - 1) come with the batch.
    k3 = π_ref/π - log(π_ref/π) - 1 is an unbiased estimate of KL(π ‖ π_ref) that is never negative (Schulman 2020).
    """

    low: float
    high: float
    kl_coefficient: float

    def __call__(self, logprobs: Tensor, batch: Batch) -> Terms:
        advantage = batch["advantage"][:, None]
        log_ratio = logprobs - batch["old_logprobs"]
        ratio = log_ratio.exp()
        free, clipped = ratio * advantage, ratio.clamp(1 - self.low, 1 + self.high) * advantage
        loss = -torch.minimum(free, clipped)
        figures = {
            "clip_share": (clipped < free).float(),
            "kl_old": (ratio - 1 - log_ratio).detach(),  # of KL(π_old ‖ π), whose samples these are
        }
        if self.kl_coefficient:
            kl = k3(logprobs, batch["reference_logprobs"])
            loss = loss + self.kl_coefficient * kl
            figures["kl_reference"] = kl.detach()
        return Terms(loss, figures)


def k3(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """π_ref/π - log(π_ref/π) - 1, of tokens drawn from π."""
    log_ratio = reference_logprobs - logprobs
    return log_ratio.exp() - 1 - log_ratio
