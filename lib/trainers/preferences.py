"""Losses of pairs: from the log-probabilities of a chosen and a rejected side, a number for each pair.

Rows of a batch stand chosen, rejected, chosen, rejected, … All losses are means over the pairs of the step, weighted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lib.records import IGNORED
from lib.trainers.objective import Batch, Terms

Loss = Literal["dpo", "cdpo", "robust", "ipo", "hinge", "simpo", "margin"]


class Sides(NamedTuple):
    """Sums over the tokens of each side that count, (pairs, 2): chosen, rejected."""

    policy: Tensor
    reference: Tensor
    """Zero where there is none."""
    tokens: Tensor
    """How many they are, at least 1."""

    @classmethod
    def of(cls, logprobs: Tensor, batch: Batch) -> Sides:
        """Tokens count from `split` (rows,) on, a place in input_ids, where the batch has it."""
        counted = batch["labels"][:, 1:] != IGNORED
        if "split" in batch:
            counted = counted & (torch.arange(1, counted.shape[1] + 1, device=counted.device) >= batch["split"][:, None])
        reference = batch["reference_logprobs"] if "reference_logprobs" in batch else torch.zeros_like(logprobs)
        sums = [values.masked_fill(~counted, 0.0).sum(1).view(-1, 2) for values in (logprobs, reference)]
        return cls(sums[0], sums[1], counted.sum(1).view(-1, 2).clamp(min=1))


def dpo(h: Tensor, beta: float) -> Tensor:
    """-log σ(βh)."""
    return -logsigmoid(beta * h)


def cdpo(h: Tensor, beta: float, epsilon: Tensor) -> Tensor:
    """-(1 - ε) log σ(βh) - ε log σ(-βh)."""
    return (1 - epsilon) * dpo(h, beta) + epsilon * dpo(-h, beta)


def robust(h: Tensor, beta: float, epsilon: Tensor) -> Tensor:
    """[-(1 - ε) log σ(βh) + ε log σ(-βh)] / (1 - 2ε): unbiased where a share ε < 1/2 of pairs is the wrong way round."""
    return ((1 - epsilon) * dpo(h, beta) - epsilon * dpo(-h, beta)) / (1 - 2 * epsilon)


def ipo(h: Tensor, beta: float) -> Tensor:
    """(h - 1/(2β))²."""
    return (h - 1 / (2 * beta)) ** 2


def hinge(h: Tensor, beta: float) -> Tensor:
    """max(0, 1 - βh)."""
    return (1 - beta * h).clamp(min=0)


def simpo(difference: Tensor, beta: float, gamma: float) -> Tensor:
    """-log σ(β(l_w/|y_w| - l_l/|y_l|) - γ), of the difference in brackets."""
    return -logsigmoid(beta * difference - gamma)


def margin(difference: Tensor, least: float) -> Tensor:
    """max(0, m - l_w + l_l), of l_w - l_l."""
    return (least - difference).clamp(min=0)


def sppo(deltas: Tensor, wins: Tensor, eta: float) -> Tensor:
    """Σ_y (Δ(y) - η (P(y) - 1/2))² over both sides, of (pairs, 2)."""
    return ((deltas - eta * (wins - 0.5)) ** 2).sum(1)


@dataclass(frozen=True, slots=True)
class Preferring:
    """One of the losses above, plus the negative log-likelihood of the chosen side.

    `weight`, `epsilon` (rows,), `pairs` and `nll_over` () come with the batch; `split` and `reference_logprobs` may.
    """

    loss: Loss
    beta: float
    per_token: bool
    gamma: float
    least: float
    nll_weight: float
    nll_per_row: bool

    def __call__(self, logprobs: Tensor, batch: Batch) -> Terms:
        sides = Sides.of(logprobs, batch)
        deltas = sides.policy - sides.reference
        compared = deltas / sides.tokens if self.per_token else deltas
        h = compared[:, 0] - compared[:, 1]
        weight = batch["weight"][::2]
        loss = (weight * self._losses(h, batch["epsilon"][::2])).sum() / batch["pairs"]
        if self.nll_weight:
            nll = -sides.policy[:, 0] / (sides.tokens[:, 0] if self.nll_per_row else 1)
            loss = loss + self.nll_weight * (weight * nll).sum() / batch["nll_over"]
        figures = {"accuracy_last": ((h > 0).float().sum(), len(h)), "margin_last": (self.beta * h.detach().sum(), len(h))}
        return Terms(loss, figures)

    def _losses(self, h: Tensor, epsilon: Tensor) -> Tensor:
        match self.loss:
            case "cdpo":
                return cdpo(h, self.beta, epsilon)
            case "robust":
                return robust(h, self.beta, epsilon)
            case "simpo":
                return simpo(h, self.beta, self.gamma)
            case "margin":
                return margin(h, self.least)
        return {"dpo": dpo, "ipo": ipo, "hinge": hinge}[self.loss](h, self.beta)


@dataclass(frozen=True, slots=True)
class SelfPlay:
    """SPPO's loss, with `win` (rows,) in the batch: how probably each side wins."""

    eta: float
    factor: float

    def __call__(self, logprobs: Tensor, batch: Batch) -> Terms:
        sides = Sides.of(logprobs, batch)
        deltas = sides.policy - sides.reference
        losses = self.factor * sppo(deltas, batch["win"].view(-1, 2), self.eta) * batch["weight"][::2]
        h = (deltas[:, 0] - deltas[:, 1]).detach()
        figures = {"accuracy_last": ((h > 0).float().sum(), len(h)), "margin_last": (h.sum(), len(h))}
        return Terms(losses.sum() / batch["pairs"], figures)
