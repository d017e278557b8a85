"""What the trainers of values share: which model they grow, and where in their rows a value is read.

A value model is a token classification model with one logit, whose body begins as a language model's or an earlier value
model's. The value of what is written so far is σ of the logit at its last token, as the verifier `Process` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from lib.errors import UserError
from lib.protocols import Machine
from lib.trainers.optimisation import Optimisation
from lib.trainers.rows import Ragged, Rows

if TYPE_CHECKING:
    from torch import Tensor

    from lib.trainers.values import ValueObjective


class Valuing(Optimisation):
    """The settings that trainers of a value model have in common."""

    learning_rate: float = Field(1e-4, gt=0)
    """The highest; shares of it are reached as the schedule says."""
    steps: int | None = Field(200, ge=1)
    """How long to train; None where `epochs` says so."""
    start_role: str = ""
    """The role whose model to start from, `policy` for a value model that grows on it; empty: the phase's own."""

    def fit(self, start: Path, marked: Marked, objective: ValueObjective, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Train a value model from a folder, save it, and return the closing figures with the tokens read."""
        from lib import heads, models
        from lib.trainers.loop import train
        from lib.trainers.values import by_values

        model: Any = heads.load_with_head(start, "token", seed=seed, device=machine.device)
        order = self.order(len(marked.lengths), seed)
        figures = train(self, model, order, marked, by_values(objective), seed, machine)
        models.save(model, start, out)
        return {**figures, "tokens_trained": int(marked.tokens[order].sum())}


@dataclass(frozen=True, slots=True)
class Marked:
    """Texts, and the places in each at which a value is read; an item is a text, or a pair of them."""

    ids: Ragged
    places: Ragged
    """Numbers of tokens, one or more for each text."""
    targets: Ragged
    """One for each place."""
    weights: Ragged
    """One for each place."""
    pairs: int = 0
    """How many pairs the texts are: the chosen sides, then the rejected ones. 0: none, each is an item."""

    @property
    def lengths(self) -> Rows:
        """How long each item is; a pair is as long as its longer text."""
        own = self.ids.lengths
        return np.maximum(own[: self.pairs], own[self.pairs :]) if self.pairs else own

    @property
    def tokens(self) -> Rows:
        """How many ids each item has, of both texts where it is a pair: all are read, prompts too."""
        return self.ids.lengths.reshape(2, -1).sum(0) if self.pairs else self.ids.lengths

    @property
    def counts(self) -> Rows:
        return np.full(len(self.lengths), 2 if self.pairs else 1)

    def __call__(self, items: Rows, step_items: Rows) -> dict[str, Tensor]:
        """input_ids, attention_mask (rows, longest); places, targets, weights, there (rows, most places); `divisor` ()."""
        import torch

        texts, whole = self._texts(items), self._texts(step_items)
        ids = torch.from_numpy(self.ids.padded(texts, 0)).long()
        present = np.arange(ids.shape[1]) < self.ids.lengths_of(texts)[:, None]
        places = self.places.padded(texts, 0)
        return {
            "input_ids": ids,
            "attention_mask": torch.from_numpy(present).long(),
            "places": torch.from_numpy(places).long(),
            "targets": torch.from_numpy(self.targets.padded(texts, 0)).float(),
            "weights": torch.from_numpy(self.weights.padded(texts, 0)).float(),
            "there": torch.from_numpy(np.arange(places.shape[1]) < self.places.lengths_of(texts)[:, None]),
            "divisor": torch.tensor(float(self.places.lengths_of(whole).sum())),
        }

    def _texts(self, items: Rows) -> Rows:
        return np.stack([items, items + self.pairs], 1).ravel() if self.pairs else items


def at_ends(ids: Ragged, targets: NDArray[Any], weights: NDArray[Any], pairs: int = 0) -> Marked:
    """Texts whose value is read at their last token."""
    bounds = np.arange(len(targets) + 1)
    places = Ragged(ids.lengths - 1, bounds)
    return Marked(ids, places, Ragged(targets, bounds), Ragged(weights, bounds), pairs)


def at_steps(examples: pa.Table) -> Marked:
    """Rows of records.STEP: those of one text are read in one pass. Raises UserError where a place is not in its row."""
    ids, places = Ragged.of(examples["input_ids"]), examples["position"].to_numpy()
    outside = (places < 0) | (places >= ids.lengths)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise UserError(
            f"example {examples['example_id'][row]} has position {places[row]}, and {ids.lengths[row]} input_ids; "
            "give the number of the step's last token"
        )
    known: dict[bytes, int] = {}
    texts = np.array([known.setdefault(ids.joined(np.array([row])).tobytes(), len(known)) for row in range(examples.num_rows)])
    rows = np.lexsort((places, texts))
    bounds = np.concatenate([[0], np.cumsum(np.bincount(texts))])
    first = rows[bounds[:-1]]
    weights = np.asarray(examples["weight"].fill_null(1.0).to_numpy())
    its_ids = Ragged(ids.joined(first), np.concatenate([[0], np.cumsum(ids.lengths[first])]))
    its_places, targets, its_weights = (Ragged(column[rows], bounds) for column in (places, examples["target"].to_numpy(), weights))
    return Marked(its_ids, its_places, targets, its_weights)


def refuse_no_shares(examples: pa.Table, trainer: str) -> None:
    """Raise UserError unless every target lies between 0 and 1."""
    targets = examples["target"].to_numpy()
    if strange := int(((targets < 0) | (targets > 1)).sum()):
        raise UserError(f"{trainer} takes targets between 0 and 1, and {strange} of {len(targets)} examples have another; rescale them")
