"""How many tokens a round took: those that models wrote in its stages, and those that its trainers learned, evaluation apart.

What was reused counts as if it had been made here, so that two campaigns that share work are charged alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib.budget import Cost
from lib.round_record import RoundRecord
from lib.store import Store


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of one round, or of several together."""

    sampled: int = 0
    """Written by models: completions to learn from, and what judges said of them."""
    trained: int = 0
    """Labelled tokens over all steps, as often as each was seen; of value and reward models, all tokens that they read."""

    @property
    def total(self) -> int:
        return self.sampled + self.trained

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.sampled + other.sampled, self.trained + other.trained)


def taken(record: RoundRecord, store: Store) -> Tokens:
    """What the stages of one attempt at a round took; of stages that never wrote down how much they trained, nothing is known."""
    found = Tokens()
    for path, stage in record.stages.items():
        if stage["verb"] != "evaluate":
            costs = (Cost.of(stage.get("cost", {}).get(whose, {})) for whose in ("spent", "reused"))
            trained = sum(int(figures.get("tokens_trained", 0)) for figures in stage_figures(record, path, store))
            found += Tokens(sum(cost.tokens for cost in costs), trained)
    return found


def stage_figures(record: RoundRecord, path: str, store: Store) -> list[Mapping[str, Any]]:
    """What each job of a stage said of itself when it was made."""
    return [store.stats(job["key"], job["version"]) for job in record.stages[path]["jobs"]]
