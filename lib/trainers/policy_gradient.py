"""Clipped policy gradient on completions sampled earlier (T.pg, offline): one forward pass, and no other model.

The loss is that of lib.trainers.clipped_update; its first step is on policy where one model sampled everything, and those after
it are held near by the clip. OnlinePolicyGradient samples inside the training instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from lib.protocols import Machine
from lib.trainers.clipped_update import ClippedUpdate
from lib.trainers.rows import refuse_none


class PolicyGradient(ClippedUpdate):
    """Raises the probability of tokens of positive advantage and lowers that of the others, within the clip."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: loss_first, loss_last, clip_share, kl_old, kl_reference, entropy, steps, tokens_trained.

        Raises UserError if there are no examples, if they lack a reference that is needed, or if the loss stops being a number.
        """
        from lib.trainers.loop import train_writer

        refuse_none(examples, "PolicyGradient")
        return train_writer(self, models["start"], self.items(examples), self.objective(), out, seed, machine, entropy=True)
