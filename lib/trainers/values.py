"""Losses of values: from the logits at marked places, (rows, places), where `there` says which are real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor
from torch.nn import Module
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from lib.trainers.objective import Batch, Measure, Terms


class ValueObjective(Protocol):
    """A loss from logits, with `targets`, `weights`, `there` (rows, places) and `divisor` () in the batch."""

    def __call__(self, logits: Tensor, batch: Batch) -> Terms: ...


def by_values(objective: ValueObjective) -> Measure:
    """An objective over what a token classification model with one logit says at the batch's `places`."""

    def measure(model: Module, batch: Batch) -> Terms:
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits[..., 0]
        return objective(logits.float().gather(1, batch["places"]), batch)

    return measure


@dataclass(frozen=True, slots=True)
class Pointwise:
    """bce: -z log p - (1 - z) log(1 - p); mse: (p - z)²; with p = σ(logit), the weighted mean over places."""

    loss: Literal["bce", "mse"]

    def __call__(self, logits: Tensor, batch: Batch) -> Terms:
        values, targets, there = logits.sigmoid(), batch["targets"], batch["there"]
        cross = binary_cross_entropy_with_logits(logits, targets, reduction="none")
        losses = cross if self.loss == "bce" else (values - targets) ** 2
        kept = (losses * batch["weights"]).masked_fill(~there, 0.0).sum() / batch["divisor"]
        error = (values - targets).abs().detach()[there]
        right = ((values > 0.5) == (targets > 0.5))[there]
        return Terms(kept, {"error_last": (error.sum(), len(error)), "accuracy_last": (right.float().sum(), len(error))})


@dataclass(frozen=True, slots=True)
class BradleyTerry:
    """-log σ(R_chosen - R_rejected - m), the weighted mean over pairs; `targets` of a pair's two rows are m."""

    def __call__(self, logits: Tensor, batch: Batch) -> Terms:
        ahead = logits[::2, 0] - logits[1::2, 0]
        losses = -logsigmoid(ahead - batch["targets"][::2, 0]) * batch["weights"][::2, 0]
        figures = {"accuracy_last": ((ahead > 0).float().sum(), len(ahead)), "margin_last": (ahead.detach().sum(), len(ahead))}
        return Terms(losses.sum() / (batch["divisor"] / 2), figures)
