"""Our own training loop: AdamW on whole batches of a fixed size, each run in micro-batches of rows of like length.

The gradient of a step is a sum over its micro-batches, whose losses are divided by sums over the whole step; so what is
learned depends on the cut by rounding alone, unless the model drops out, which it does as it is cut. Left out: several
devices, recomputing activations, and keeping the optimizer's state. Imported only while a trainer works.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from lib import models
from lib.errors import UserError
from lib.protocols import Machine
from lib.trainers.batches import cut_for
from lib.trainers.objective import Figure, Measure, Objective, by_logprobs
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Items, Rows

WINDOW = 0.05
"""The share of the steps, at the start and at the end, over which closing figures are means."""


class Given(Protocol):
    """What a loop goes through: how long its items are, how many rows they have, and the tensors of some of a step's."""

    @property
    def lengths(self) -> Rows: ...
    @property
    def counts(self) -> Rows: ...
    def __call__(self, items: Rows, step_items: Rows) -> dict[str, Tensor]: ...


@dataclass(slots=True)
class _Told:
    """Losses and figures of every step, left on the device until the end."""

    losses: list[Tensor] = field(default_factory=list)
    figures: dict[str, list[list[Figure]]] = field(default_factory=lambda: defaultdict(list))

    def begin(self, device: str) -> None:
        self.losses.append(torch.zeros((), device=device))

    def add(self, loss: Tensor, figures: Mapping[str, Figure]) -> None:
        self.losses[-1] += loss.detach()
        for name, figure in figures.items():
            self.figures[name] += [[] for _ in range(len(self.losses) - len(self.figures[name]))]
            self.figures[name][-1].append(figure)

    def closing(self, settings: Optimisation) -> dict[str, float]:
        """The means that are told; UserError where a loss was no number."""
        losses = torch.stack(self.losses)
        refuse_divergence(losses, settings)
        window = window_of(len(losses))
        means = {"loss_first": float(losses[:window].mean()), "loss_last": float(losses[-window:].mean()), "steps": len(losses)}
        for name, steps in self.figures.items():
            those = [figure for step in (steps[-window:] if name.endswith("_last") else steps) for figure in step]
            means[name] = float(sum(total for total, _ in those)) / max(1.0, float(sum(count for _, count in those)))
        return means


def window_of(steps: int) -> int:
    """How many steps closing figures are means over."""
    return max(1, round(WINDOW * steps))


def refuse_divergence(losses: Tensor, settings: Optimisation) -> None:
    """Raise UserError naming the first step whose loss is no number."""
    if not losses.isfinite().all():
        first = int((~losses.isfinite()).nonzero()[0])
        raise UserError(
            f"training diverged: the loss of step {first + 1} of {len(losses)} is {losses[first]:g}; "
            f"lower learning_rate ({settings.learning_rate:g}) or clip_norm ({settings.clip_norm:g})"
        )


def opened_writer(start: Path, machine: Machine, *, entropy: bool) -> Any:
    """The causal model of a folder, ready to be trained; on an accelerator with TRL's fused head."""
    model = models.load_model(start, dtype="float32", device=machine.device)
    if machine.device != "cpu":
        from trl.trainer.utils import add_fused_lm_head

        add_fused_lm_head(model, outputs=("log_probs", "entropy") if entropy else ("log_probs",))
    return model


def train_writer(
    settings: Optimisation,
    start: Path,
    items: Items,
    objective: Objective,
    out: Path,
    seed: int,
    machine: Machine,
    *,
    entropy: bool = False,
) -> dict[str, float]:
    """Train the causal model of a folder by an objective, save it, and return the closing figures with the tokens learned."""
    model = opened_writer(start, machine, entropy=entropy)
    order = settings.order(items.count, seed)
    figures = train(settings, model, order, items, by_logprobs(objective, entropy=entropy), seed, machine)
    models.save(model, start, out)
    return {**figures, "tokens_trained": sum(items.labelled_in(step) for step in order)}


def train(settings: Optimisation, model: Any, order: Rows, given: Given, measure: Measure, seed: int, machine: Machine) -> dict[str, float]:
    """Train a model in place over items in an order (steps, batch), and return the closing figures."""
    training = Training(settings, model, len(order), seed, machine)
    training.steps(order, given, measure)
    return training.closing()


class Training:
    """A model in training with its optimizer, whose steps may be over one lot of items after another."""

    def __init__(self, settings: Optimisation, model: Any, total: int, seed: int, machine: Machine) -> None:
        """`total`: how many steps the learning rate's schedule has."""
        torch.manual_seed(seed % 2**63)  # for dropout, the only thing that draws
        self._settings, self._model, self._machine = settings, model, machine
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._optimizer = adamw(settings, self._trained)
        self._total, self._vocabulary = total, int(model.config.get_text_config().vocab_size)
        self._told = _Told()

    def steps(self, order: Rows, given: Given, measure: Measure, first: int = 0) -> None:
        """Take the steps of an order (steps, batch), the first being number `first` of the schedule; the model rests in evaluation mode."""
        settings, machine = self._settings, self._machine
        self._model.train(settings.dropout)
        lengths, counts = given.lengths, given.counts
        for step, step_items in enumerate(order, start=first):
            for group in self._optimizer.param_groups:
                group["lr"] = settings.learning_rate * settings.share_at(step, self._total)
            self._told.begin(machine.device)
            for places in cut_for(machine, self._vocabulary, lengths[step_items], counts[step_items]):
                batch = {name: tensor.to(machine.device) for name, tensor in given(step_items[places], step_items).items()}
                with torch.autocast(torch.device(machine.device).type, torch.bfloat16, enabled=settings.dtype == "bfloat16"):
                    terms = measure(self._model, batch)
                terms.loss.backward()
                self._told.add(*terms)
            torch.nn.utils.clip_grad_norm_(self._trained, settings.clip_norm)
            self._optimizer.step()
            self._optimizer.zero_grad()
            machine.report(step + 1, self._total)
        self._model.eval()

    def closing(self) -> dict[str, float]:
        """The closing figures of all steps taken; UserError where a loss was no number."""
        return self._told.closing(self._settings)

    def latest(self) -> dict[str, float]:
        """The loss and the learning rate of the last step."""
        return {"loss": float(self._told.losses[-1]), "learning_rate": float(self._optimizer.param_groups[0]["lr"])}


def adamw(settings: Optimisation, trained: list[Any]) -> torch.optim.Optimizer:
    """AdamW that pulls matrices alone towards zero."""
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)
