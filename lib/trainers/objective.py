"""What every loss of ours is made of: log-probabilities of labels, columns of the examples, and sums over the whole step.

Log-probabilities are (rows, length - 1) tensors, zero where there is no label. A loss is this micro-batch's part of the
step's: whatever divides it is a sum over the whole step and comes with the batch, so that the cut does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import cross_entropy

from lib.records import IGNORED

Batch = Mapping[str, Tensor]
Figure = tuple[Tensor, Tensor | int]
"""A sum, and over how many."""


class Terms(NamedTuple):
    """What an objective says of a micro-batch."""

    loss: Tensor
    """(), its part of the step's loss."""
    figures: Mapping[str, Figure]
    """Worth knowing beside the loss, without gradient: told as means, over the last steps alone where a name ends in _last."""


class Objective(Protocol):
    """A loss from the log-probabilities of labels."""

    def __call__(self, logprobs: Tensor, batch: Batch) -> Terms: ...


Measure = Callable[[Module, Batch], Terms]
"""A forward pass and the loss of it."""


def by_logprobs(objective: Objective, *, entropy: bool = False) -> Measure:
    """An objective over what a causal model says, with the mean entropy of its distributions among the figures if wanted."""

    def measure(model: Module, batch: Batch) -> Terms:
        logprobs, figures = _scored(model, batch, entropy)
        terms = objective(logprobs, batch)
        return Terms(terms.loss, {**terms.figures, **figures})

    return measure


def token_logprobs(model: Module, batch: Batch) -> Tensor:
    """log π of every label given what stands before it: (rows, length - 1), zero where there is no label."""
    return _scored(model, batch, entropy=False)[0]


def _scored(model: Module, batch: Batch, entropy: bool) -> tuple[Tensor, dict[str, Figure]]:
    """Log-probabilities of the labels and, if wanted, the entropy of the distributions that they are of, in nats.

    Padding stands on the right, where a causal model does not see it, so no mask is needed, and the model's head is given
    the labelled positions alone. On a GPU that is done by TRL's fused head, which never holds all logits.
    """
    targets = batch["labels"][:, 1:]
    labelled = targets != IGNORED
    if targets.device.type != "cpu":
        said = model(input_ids=batch["input_ids"], labels=batch["labels"], use_cache=False, fused_lm_head=True)
        return said.log_probs, {"entropy": (said.entropy.detach().sum(), labelled.sum())} if entropy else {}
    logits = _logits(model, batch["input_ids"], labelled)
    scored = -cross_entropy(logits, targets[labelled], reduction="none")
    laid = scored.new_zeros(labelled.shape).masked_scatter(labelled, scored)
    return laid, {"entropy": (_entropies(logits.detach()).sum(), labelled.sum())} if entropy else {}


def _logits(model: Module, ids: Tensor, labelled: Tensor) -> Tensor:
    """Logits of the labelled positions, (N, V): what a model does to its logits it does to them too."""
    head = model.get_output_embeddings()  # type: ignore[operator]
    hook = head.register_forward_pre_hook(lambda _, given: (given[0][:, :-1][labelled], *given[1:]))
    try:
        return model(input_ids=ids, use_cache=False).logits.float()
    finally:
        hook.remove()


def _entropies(logits: Tensor) -> Tensor:
    logprobs = logits.log_softmax(-1)
    return -torch.linalg.vecdot(logprobs.exp(), logprobs.clamp_min(-1e4))  # a probability of 0 must not meet -inf


def reduced(loss: Tensor, batch: Batch) -> Tensor:
    """Σ_i w_i Σ_j l_ij / Z over labelled tokens, with `weight` (rows,) and `divisor` () of the batch."""
    masked = loss.masked_fill(batch["labels"][:, 1:] == IGNORED, 0.0)
    return (masked * batch["weight"][:, None]).sum() / batch["divisor"]


def row_sums(values: Tensor, batch: Batch) -> Tensor:
    """(rows,): sums over labelled tokens."""
    return values.masked_fill(batch["labels"][:, 1:] == IGNORED, 0.0).sum(1)


def over_tokens(values: Tensor, batch: Batch) -> Figure:
    """A figure of every labelled token."""
    labelled = batch["labels"][:, 1:] != IGNORED
    return values.detach()[labelled].sum(), labelled.sum()


def k3(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """π_ref/π - log(π_ref/π) - 1: of tokens drawn from π an unbiased estimate of KL(π ‖ π_ref), never negative (Schulman 2020)."""
    log_ratio = reference_logprobs - logprobs
    return log_ratio.exp() - 1 - log_ratio
