"""Self-play preference optimisation with soft wins (SPPO, Wu et al. 2024; T.pref), in our own loop.

L = factor · Σ_{y in {chosen, rejected}} (Δ(y) - η (P(y) - 1/2))², the weighted mean over pairs, with Δ(y) = log π(y|x) -
log π_ref(y|x), P(y) the probability that y wins against the group that the policy sampled, and the policy that sampled as
the reference. Its authors' code takes η = 1/β and the factor 1/2; TRL's sppo_hard sets P to 1 and 0 and leaves the factor
out. With `single`, P is read from chosen_win alone, as that of winning against the rejected side, which wins with 1 - P.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from lib.errors import UserError
from lib.protocols import Machine
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Items, refuse_none
from lib.trainers.sides import both_sides, of_pairs, pairs_of, reference_of_both


class Sppo(Optimisation):
    """Moves the log-ratio of each side towards how often it wins."""

    learns_from: ClassVar[str] = "pair"

    learning_rate: float = Field(5e-5, gt=0)
    """The highest; shares of it are reached as the schedule says."""
    steps: int | None = Field(200, ge=1)
    """How long to train; None where `epochs` says so."""
    dropout: bool = False
    """Whether a model that drops out does so while it learns; its reference did not."""
    eta: float = Field(4.0, gt=0)
    """How far a certain win should move the log-ratio, twice; the authors' scripts take 1000 (β = 0.001), for long answers."""
    factor: float = Field(0.5, gt=0)
    """What the sum of both squares is multiplied by."""
    single: bool = False
    """Whether chosen_win alone is read."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: loss_first, loss_last, accuracy_last, margin_last (of Δ), steps, tokens_trained.

        Raises UserError if there are no examples, if they lack wins or a reference, or if the loss stops being a number.
        """
        from lib.trainers.loop import train_writer
        from lib.trainers.preferences import SelfPlay

        refuse_none(examples, "Sppo")
        sequences, count = both_sides(examples), examples.num_rows
        items = Items(
            sequences,
            {"weight": of_pairs(examples, "weight"), "win": self._wins(examples)},
            {"reference_logprobs": reference_of_both(examples, sequences.labelled, "Sppo")},
            {"pairs": np.repeat([1.0, 0.0], count)},
            pairs_of(count),
        )
        return train_writer(self, models["start"], items, SelfPlay(self.eta, self.factor), out, seed, machine)

    def _wins(self, examples: pa.Table) -> NDArray[np.float64]:
        names = ["chosen_win"] if self.single else ["chosen_win", "rejected_win"]
        missing = max(examples[name].null_count for name in names)
        if missing:
            raise UserError(
                f"Sppo needs {' and '.join(names)}, and {missing} of {examples.num_rows} examples have none; "
                "build the pairs with a filter that says how often each side wins"
            )
        wins = of_pairs(examples, *names)
        if self.single:
            wins[examples.num_rows :] = 1 - wins[examples.num_rows :]
        return wins
