"""What a reference model says of the examples: scored once, before the training, so that it is not held beside the policy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from trl.trainer.utils import add_fused_lm_head

from lib import models
from lib.protocols import Machine
from lib.records import IGNORED
from lib.trainers.batches import cut_for
from lib.trainers.objective import token_logprobs
from lib.trainers.rows import Ragged, Sequences

ROWS = 4096
"""Rows that are cut into batches of like length together."""


def reference_logprobs(folder: Path, sequences: Sequences, dtype: str, machine: Machine) -> Ragged:
    """log π_ref of every labelled token of every row, in the precision in which the policy will be trained."""
    model = models.load_model(folder, dtype="float32", device=machine.device)
    if machine.device != "cpu":
        add_fused_lm_head(model)
    vocabulary = int(model.config.get_text_config().vocab_size)
    bounds = np.concatenate([[0], np.cumsum(sequences.labelled)])
    values = np.zeros(bounds[-1], dtype=np.float32)
    by_length = np.argsort(sequences.ids.lengths, kind="stable")
    for start in range(0, len(by_length), ROWS):
        stretch = by_length[start : start + ROWS]
        lengths = sequences.ids.lengths_of(stretch)
        for places in cut_for(machine, vocabulary, lengths, np.ones_like(lengths)):
            rows = stretch[places]
            batch = {name: tensor.to(machine.device) for name, tensor in sequences.tensors(rows).items()}
            labels = batch["labels"][:, 1:]
            with torch.no_grad(), torch.autocast(labels.device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
                scored = token_logprobs(model, batch)
            values[np.concatenate([np.arange(*bounds[row : row + 2]) for row in rows])] = scored[labels != IGNORED].float().cpu()
    return Ragged(values, bounds)
