"""Two rows of log-probabilities for tests of losses, and the gradients of a loss and of its formula side by side."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lib.records import IGNORED
from lib.trainers.objective import Objective

# token log-probabilities (-0.5, -1.0) and (-0.2, -0.3, -0.4); the second position of the first row has no label
LABELS = torch.tensor([[IGNORED, 5, IGNORED, 5], [IGNORED, 5, 5, 5]])
LOGPROBS = torch.tensor([[-0.5, 0.0, -1.0], [-0.2, -0.3, -0.4]], dtype=torch.float64)
FOUR = torch.cat([LABELS, LABELS.flip(0)])
"""The labels of four rows: two pairs, or two problems of two solutions."""


def exact(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def drawn(seed: int, labels: Tensor = LABELS, spread: float = 0.5) -> Tensor:
    """Log-probabilities around -2, zero where there is no label."""
    draw = torch.Generator().manual_seed(seed)
    values = torch.randn(len(labels), labels.shape[1] - 1, generator=draw, dtype=torch.float64) * spread - 2
    return values.masked_fill(labels[:, 1:] == IGNORED, 0.0)


def tokens(values: Tensor, row: int, labels: Tensor = LABELS) -> list[Tensor]:
    """The values of a row's labelled tokens, one by one."""
    return [values[row, j] for j in range(values.shape[1]) if labels[row, j + 1] != IGNORED]


def differ(objective: Objective, batch: dict[str, Tensor], formula: Callable[[Tensor], Tensor], scores: Tensor) -> float:
    """The largest difference between an objective and a formula, in value and in gradient, which must not vanish."""
    ours, theirs = (scores.clone().requires_grad_() for _ in range(2))
    loss, written = objective(ours, batch).loss, formula(theirs)
    loss.backward()
    written.backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert ours.grad.abs().max().item() > 1e-3
    return max((ours.grad - theirs.grad).abs().max().item(), abs(loss.item() - written.item()))
