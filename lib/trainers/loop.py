"""TRL's trainers, led by our own order of rows: a batch goes in as it stands, the figures come out, nothing is written.

TRL would tokenise text, append an end-of-text token, shuffle, log and save; each of these is passed by, because the rows
hold the sampled token ids and the stage knows what becomes of the model. Imported only while a trainer works.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import Module
from transformers import TrainerCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from lib import models
from lib.errors import UserError
from lib.protocols import Machine, Report
from lib.trainers.objective import Objective, reduced, token_logprobs
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel as Model

Items = Tensor | int | None

WINDOW = 0.05
"""The share of the steps, at the start and at the end, over which closing figures are means."""

_UNREAD = {"input_ids": [[0]], "labels": [[0]]}
"""The data set that TRL insists on and looks at once; the batches come from `Batches`."""


class _Fed:
    """What both trainers do otherwise than TRL: they take our batches, count nothing and keep every step's loss."""

    batches: Batches
    losses: list[Tensor]

    def get_train_dataloader(self) -> Batches:
        return self.batches

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss: Tensor = super().training_step(*args, **kwargs)
        self.losses.append(loss)
        return loss

    def floating_point_ops(self, inputs: Mapping[str, Any]) -> int:
        return 0  # the count walks through every parameter at every step

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Nothing is told before the end."""

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""


class ObjectiveTrainer(_Fed, SFTTrainer):
    """SFTTrainer with the loss of an objective, divided by a total over the global batch."""

    loss_is_scaled_for_ga = True  # type: ignore[assignment]  # TRL's None means undecided
    objective: Objective
    totals: dict[str, Any]
    """Sums over labelled tokens of what the objective tells, and how many those tokens were."""

    def compute_loss(
        self, model: Module, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: Items = None
    ) -> Tensor:
        terms = self.objective(token_logprobs(model, inputs), inputs)
        if terms.figures:
            labelled = inputs["labels"][:, 1:] >= 0
            self.totals["labelled"] += labelled.sum()
            for name, values in terms.figures.items():
                self.totals[name] += values[labelled].sum()
        return reduced(terms.loss, inputs)


class PairTrainer(_Fed, DPOTrainer):
    """DPOTrainer on token ids, with reference log-probabilities and the share of the likelihood term in the batch."""

    nll_weight: float

    def compute_loss(self, model: Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Items = None) -> Tensor:
        # TRL's likelihood term is a mean over a micro-batch's tokens; its weight makes it one over the global batch
        self.loss_weights[1:] = [self.nll_weight * inputs.pop("nll_share")] * len(self.loss_weights[1:])
        return super().compute_loss(model, inputs)

    def _prepare_dataset(self, dataset: Dataset, *args: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *args: Any) -> Dataset:
        return dataset


class _Progress(TrainerCallback):
    def __init__(self, report: Report) -> None:
        self.report = report

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.report(state.global_step, state.max_steps)


@contextmanager
def _configs_kept(model: Model) -> Iterator[None]:
    """Training changes weights alone, where transformers would also save that it used no cache, and more."""
    kept = deepcopy(model.config), deepcopy(model.generation_config)
    yield
    model.config, model.generation_config = kept


@dataclass(frozen=True, slots=True)
class Run:
    """One training: by which settings, on which model, with which batches, on which machine."""

    settings: Optimisation
    start: Path
    batches: Batches
    seed: int
    machine: Machine

    @property
    def steps(self) -> int:
        return len(self.batches.order)

    def by_objective(self, objective: Objective, out: Path) -> dict[str, float]:
        """Train by a loss per token, save the model, and return the closing figures."""
        model = self._model()
        with tempfile.TemporaryDirectory() as scratch, _configs_kept(model):
            config = SFTConfig(scratch, dataset_kwargs={"skip_prepare_dataset": True}, **self._arguments())
            trainer = ObjectiveTrainer(model, config, **self._parts(model))
            trainer.objective, trainer.totals = objective, defaultdict(float)
            figures = self._fit(trainer)
        models.save(model, self.start, out)
        labelled = trainer.totals.pop("labelled", 1)
        return figures | {name: float(total / labelled) for name, total in trainer.totals.items()}

    def by_preference(self, loss_type: str, beta: float, nll_weight: float, out: Path) -> dict[str, float]:
        """Train by one of TRL's preference losses, save the model, and return the closing figures."""
        model = self._model()
        losses = [loss_type, "sft"] if nll_weight else [loss_type]
        with tempfile.TemporaryDirectory() as scratch, _configs_kept(model):
            config = DPOConfig(
                scratch,
                beta=beta,
                loss_type=losses,
                loss_weights=[1.0] * len(losses),
                precompute_ref_log_probs=True,
                **self._arguments(),
            )
            trainer = PairTrainer(model, args=config, **self._parts(model))
            trainer.nll_weight = nll_weight
            figures = self._fit(trainer)
        models.save(model, self.start, out)
        told: Mapping[str, list[float]] = trainer._metrics["train"]
        window = self._window(self.batches.per_step)
        return figures | {
            f"{ours}_last": sum(told[theirs][-window:]) / window
            for ours, theirs in (("accuracy", "rewards/accuracies"), ("margin", "rewards/margins"))
        }

    def _model(self) -> Model:
        return models.load_model(self.start, dtype="float32", device=self.machine.device)

    def _parts(self, model: Model) -> dict[str, Any]:
        return {
            "data_collator": list,  # never called: it spares TRL from choosing one, and a padding token with it
            "train_dataset": Dataset.from_dict(_UNREAD),
            "processing_class": models.load_tokenizer(self.start),
            "optimizers": self._optimizer(model),
        }

    def _arguments(self) -> dict[str, Any]:
        return {
            "max_steps": self.steps,
            "per_device_train_batch_size": self.batches.micro,
            "gradient_accumulation_steps": self.batches.per_step,
            "max_grad_norm": self.settings.clip_norm,
            "bf16": self.settings.dtype == "bfloat16",
            "use_cpu": self.machine.device == "cpu",
            "seed": self.seed % 2**32,
            "max_length": None,
            "activation_checkpointing": False,
            "dataloader_pin_memory": False,
            "disable_tqdm": True,
            "report_to": "none",
            "logging_strategy": "no",
            "logging_nan_inf_filter": False,
            "save_strategy": "no",
        }

    def _optimizer(self, model: Model) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        settings = self.settings
        trained = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, partial(settings.share_at, total=self.steps))

    def _fit(self, trainer: Any) -> dict[str, float]:
        trainer.batches, trainer.losses = self.batches, []
        trainer.add_callback(_Progress(self.machine.report))
        trainer.train()
        losses = torch.stack(trainer.losses).view(self.steps, -1).sum(1)  # (steps,)
        if not losses.isfinite().all():
            first = int((~losses.isfinite()).nonzero()[0])
            raise UserError(
                f"training diverged: the loss of step {first + 1} of {self.steps} is {losses[first]:g}; "
                f"lower learning_rate ({self.settings.learning_rate:g}) or clip_norm ({self.settings.clip_norm:g})"
            )
        window = self._window()
        return {
            "loss_first": float(losses[:window].mean()),
            "loss_last": float(losses[-window:].mean()),
            "steps": self.steps,
        }

    def _window(self, per_step: int = 1) -> int:
        return max(1, round(WINDOW * self.steps)) * per_step
