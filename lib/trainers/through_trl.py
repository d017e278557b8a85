"""TRL's trainers, led by our own order of rows: a batch goes in as it stands, the figures come out, nothing is written.

TRL would tokenise text, append an end-of-text token, shuffle, log and save; each of these is passed by, because the rows
hold the sampled token ids and the stage knows what becomes of the model. Imported only while a trainer works.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
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
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from lib import models
from lib.protocols import Machine, Report
from lib.trainers.batches import Batches, Collate, micro_batch
from lib.trainers.loop import adamw, refuse_divergence, window_of
from lib.trainers.optimisation import Optimisation

if TYPE_CHECKING:
    from transformers import PreTrainedModel as Model

Items = Tensor | int | None

_UNREAD = {"input_ids": [[0]], "labels": [[0]], "chosen_ids": [[0]], "rejected_ids": [[0]]}
"""The data set that TRL insists on and looks at once; the batches come from `Batches`."""


class _Fed:
    """What all of them do otherwise than TRL: they take our batches, count nothing and keep every step's loss."""

    batches: Batches
    losses: list[Tensor]

    def get_train_dataloader(self) -> Batches:
        return self.batches

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss: Tensor = super().training_step(*args, **kwargs)
        self.losses.append(loss)
        return loss

    def _prepare_dataset(self, dataset: Dataset, *args: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *args: Any) -> Dataset:
        return dataset

    def floating_point_ops(self, inputs: Mapping[str, Any]) -> int:
        return 0  # the count walks through every parameter at every step

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Nothing is told before the end."""

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""


class _Likelihood(_Fed, SFTTrainer):
    """SFTTrainer on token ids."""


class _Pairs(_Fed, DPOTrainer):
    """DPOTrainer on token ids, with reference log-probabilities and the share of the likelihood term in the batch."""

    nll_weight: float

    def compute_loss(self, model: Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Items = None) -> Tensor:
        # TRL's likelihood term is a mean over a micro-batch's tokens; its weight makes it one over the global batch
        self.loss_weights[1:] = [self.nll_weight * inputs.pop("nll_share")] * len(self.loss_weights[1:])
        return super().compute_loss(model, inputs)


class _Unpaired(_Fed, KTOTrainer):
    """KTOTrainer on token ids, its divergence estimated once for a whole step instead of anew for every micro-batch."""

    _estimated: Tensor | None = None

    def _compute_kl_logps(self, model: Module, batch: Mapping[str, Any]) -> Tensor | None:
        if not self.calculate_KL:
            return None
        score = super()._compute_kl_logps
        if strangers := batch["KL_input_ids"]:  # a step's first micro-batch has those of the step, the others none
            self._estimated = torch.cat([score(model, part) for part in strangers])
        return self._estimated


class _Rewards(_Fed, RewardTrainer):
    """RewardTrainer on token ids."""


class _Progress(TrainerCallback):
    def __init__(self, report: Report) -> None:
        self.report = report

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.report(state.global_step, state.max_steps)


@contextmanager
def _configs_kept(model: Model) -> Iterator[None]:
    """Training changes weights alone, where transformers would also save that it used no cache, and more."""
    kept = deepcopy(model.config), deepcopy(model.generation_config) if model.can_generate() else None
    yield
    model.config = kept[0]
    if kept[1] is not None:
        model.generation_config = kept[1]


@dataclass(frozen=True, slots=True)
class Run:
    """One training: by which settings, from which model, over how many rows, with what tensors of them, on which machine."""

    settings: Optimisation
    start: Path
    rows: int
    collate: Collate
    seed: int
    machine: Machine

    def by_likelihood(self, out: Path) -> dict[str, float]:
        """Train by SFTTrainer's own loss, save the model, and return the closing figures."""
        return self._trained(self._writer(), SFTConfig, _Likelihood, out, dataset_kwargs={"skip_prepare_dataset": True})

    def by_preference(self, loss_type: str, beta: float, nll_weight: float, out: Path) -> dict[str, float]:
        """Train by one of TRL's preference losses, save the model, and return the closing figures."""
        losses = [loss_type, "sft"] if nll_weight else [loss_type]
        more = {"loss_type": losses, "loss_weights": [1.0] * len(losses), "beta": beta, "precompute_ref_log_probs": True}
        told = {"accuracy": "rewards/accuracies", "margin": "rewards/margins"}
        _Pairs.nll_weight = nll_weight
        return self._trained(self._writer(), DPOConfig, _Pairs, out, told, disable_dropout=not self.settings.dropout, **more)

    def by_targets(self, out: Path, **losses: Any) -> dict[str, float]:
        """Train by KTO's loss, save the model, and return the closing figures."""
        more = {**losses, "precompute_ref_log_probs": True, "disable_dropout": not self.settings.dropout}
        return self._trained(self._writer(), KTOConfig, _Unpaired, out, {"kl": "kl"}, **more)

    def by_reward(self, model: Model, out: Path) -> dict[str, float]:
        """Train a classification model by the Bradley-Terry loss, save it, and return the closing figures."""
        told = {"accuracy": "accuracy", "margin": "margin"}
        return self._trained(model, RewardConfig, _Rewards, out, told, disable_dropout=not self.settings.dropout)

    def _writer(self) -> Model:
        return models.load_model(self.start, dtype="float32", device=self.machine.device)

    def _trained(
        self,
        model: Model,
        config: Callable[..., Any],
        kind: Callable[..., Any],
        out: Path,
        told: Mapping[str, str] | None = None,
        **more: Any,
    ) -> dict[str, float]:
        """`told`: figures of ours and what TRL calls them, told as means over the last steps."""
        order = self.settings.order(self.rows, self.seed)
        batches = Batches(order, micro_batch(order.shape[1], self.machine.micro_batch), self.collate)
        with tempfile.TemporaryDirectory() as scratch, _configs_kept(model):
            trainer = kind(model, args=config(scratch, **self._arguments(batches), **more), **self._parts(model, len(order)))
            trainer.batches, trainer.losses = batches, []
            trainer.add_callback(_Progress(self.machine.report))
            trainer.train()
        losses = torch.stack(trainer.losses).view(len(order), -1).sum(1)  # (steps,)
        refuse_divergence(losses, self.settings)
        models.save(model, self.start, out)
        window = window_of(len(order))
        figures = {"loss_first": float(losses[:window].mean()), "loss_last": float(losses[-window:].mean()), "steps": len(order)}
        metrics = trainer._metrics["train"]
        last = {f"{ours}_last": metrics[theirs][-window * batches.per_step :] for ours, theirs in (told or {}).items()}
        return figures | {name: sum(values) / len(values) for name, values in last.items()}

    def _parts(self, model: Model, steps: int) -> dict[str, Any]:
        optimizer = adamw(self.settings, [p for p in model.parameters() if p.requires_grad])
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(self.settings.share_at, total=steps))
        return {
            "data_collator": list,  # never called: it spares TRL from choosing one, and a padding token with it
            "train_dataset": Dataset.from_dict(_UNREAD),
            "processing_class": models.load_tokenizer(self.start),
            "optimizers": (optimizer, schedule),
        }

    def _arguments(self, batches: Batches) -> dict[str, Any]:
        return {
            "max_steps": len(batches.order),
            "per_device_train_batch_size": max(2, batches.micro),  # KTO refuses 1; the batches are ours in any case
            "gradient_accumulation_steps": batches.per_step,
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
