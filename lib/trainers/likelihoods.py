"""Losses of maximum likelihood: of weighted rows, and of the solutions of a problem together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lib.trainers.objective import Batch, Terms, k3, over_tokens, reduced, row_sums


@dataclass(frozen=True, slots=True)
class Likelihood:
    """-Σ_i w_i Σ_j log π_ij / Z + β Σ_ij k3_ij / N over the N labelled tokens of the step.

    `weight` (rows,), `divisor` Z and, where β > 0, `reference_logprobs` (rows, length - 1) and `labelled` N come with the batch.
    """

    kl_coefficient: float = 0.0

    def __call__(self, logprobs: Tensor, batch: Batch) -> Terms:
        loss = reduced(-logprobs, batch)
        if not self.kl_coefficient:
            return Terms(loss, {})
        kl = k3(logprobs, batch["reference_logprobs"])
        near = row_sums(kl, batch).sum() / batch["labelled"]
        return Terms(loss + self.kl_coefficient * near, {"kl_reference": over_tokens(kl, batch)})


@dataclass(frozen=True, slots=True)
class Marginal:
    """-(1/β) log Σ_y exp(β l(y)) over the solutions y of a problem, a mean over problems; for β = 0 -(1/|S|) Σ_y l(y).

    `group` (rows,), the problem of each row, and `divisor`, the problems of the step, come with the batch.
    """

    beta: float

    def __call__(self, logprobs: Tensor, batch: Batch) -> Terms:
        likelihoods = _side_by_side(row_sums(logprobs, batch), batch["group"])  # (problems, most solutions)
        there = likelihoods.isfinite()
        if self.beta:
            losses = -torch.logsumexp(self.beta * likelihoods, 1) / self.beta
        else:
            losses = -likelihoods.masked_fill(~there, 0.0).sum(1) / there.sum(1)
        shares = torch.softmax(self.beta * likelihoods.detach().masked_fill(~there, -torch.inf), 1)
        return Terms(losses.sum() / batch["divisor"], {"largest_share": (shares.amax(1).sum(), len(shares))})


def _side_by_side(values: Tensor, group: Tensor) -> Tensor:
    """Values of rows as (groups, largest group), -inf where a group has no more; a group's rows stand together."""
    sizes = torch.bincount(group)
    there = torch.arange(int(sizes.max()), device=group.device) < sizes[:, None]
    return torch.full(there.shape, -torch.inf, dtype=values.dtype, device=values.device).masked_scatter(there, values)
