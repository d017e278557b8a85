"""A value model from preferences (T.value): Bradley-Terry on the logits at the last token of both sides, in our own loop.

L = -log σ(R_chosen - R_rejected - m), the weighted mean over pairs, with m = margin_scale · (chosen_score - rejected_score):
a stronger preference must lead by more (Llama 2; Self-Reference).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from lib.protocols import Machine
from lib.trainers.rows import refuse_none
from lib.trainers.sides import both_sides, of_pairs
from lib.trainers.valuing import Valuing, at_ends


class PairValue(Valuing):
    """Learns to value the chosen side of every pair above the rejected one."""

    learns_from: ClassVar[str] = "pair"

    margin_scale: float = Field(0.0, ge=0)
    """How much of the difference in score the logits must differ by."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the value model to `out`; figures: loss_first, loss_last, accuracy_last, margin_last, steps, tokens_trained.

        Raises UserError if there are no examples, or if the loss stops being a number.
        """
        from lib.trainers.values import BradleyTerry

        refuse_none(examples, "PairValue")
        margins = self.margin_scale * (of_pairs(examples, "chosen_score") - of_pairs(examples, "rejected_score"))
        marked = at_ends(both_sides(examples).ids, margins, of_pairs(examples, "weight"), pairs=examples.num_rows)
        return self.fit(models["start"], marked, BradleyTerry(), out, seed, machine)
