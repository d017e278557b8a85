"""How long the stages of a campaign take: as they took in its own last rounds, else by the rates of this home. Always about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lib.estimate import Rates, evaluation_cost, round_cost
from lib.recipe import Recipe
from lib.round_record import RoundRecord
from lib.store import Store

MEASURING = "evaluate/"
TRUSTED_SHARE = 0.1
"""How much of a stage must be done before its own pace says more than rates do."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of whole stages, from the best source that knows them."""

    measured: dict[str, dict[str, float]] = field(default_factory=dict)
    """Stage path → part (empty but in evaluations) → seconds when this campaign last did it."""
    estimated: dict[str, float] = field(default_factory=dict)
    """Stage path → seconds by rates, at most."""

    def whole(self, path: str) -> float | None:
        """A stage with all of its parts; None where nothing is known."""
        if path in self.measured:
            return sum(self.measured[path].values())
        return self.estimated.get(path)

    def left(self, path: str, part: str, share: float, elapsed: float | None) -> float | None:
        """What is left of a part of a stage that is done by `share`; `elapsed` is None where its shards were not all worked at."""
        known = self.measured.get(path, {}).get(part)
        if known is None and elapsed is not None and share >= TRUSTED_SHARE:
            known = elapsed / share
        if known is None and part in ("", "sample"):  # rates know of sampling and training alone
            known = self.estimated.get(path)
        return None if known is None else known * (1 - share)

    def after(self, path: str, part: str) -> float:
        """The parts of a stage that follow this one, as far as they were measured."""
        parts = list(self.measured.get(path, {}))
        return sum(self.measured[path][name] for name in parts[parts.index(part) + 1 :]) if part in parts else 0.0


def measured(finished: Iterable[RoundRecord], store: Store) -> dict[str, dict[str, float]]:
    """What every stage took when it was last done; how the base model was made says nothing of a round."""
    found: dict[str, dict[str, float]] = {}
    for record in finished:
        for path, stage in record.stages.items():
            if record.round or path.startswith(MEASURING):
                found[path] = {}
                for job in stage["jobs"]:
                    part = _part(job["label"])
                    took = float(store.stats(job["key"], job["version"]).get("seconds", 0.0))
                    found[path][part] = found[path].get(part, 0.0) + took
    return found


def estimated(recipe: Recipe, counts: dict[str, int], at: Rates, number: int) -> dict[str, float]:
    """What the stages of a round may take at most, by rates."""
    costs = [*round_cost(recipe, counts, at, max(1, number)), evaluation_cost(recipe, "test", counts.get("test", 0), at)]
    found: dict[str, float] = {}
    for cost in costs:
        found[cost.stage] = found.get(cost.stage, 0.0) + cost.seconds
    return found


def _part(label: str) -> str:
    """The part in a job's label: `demo r1 evaluate/gate sample 2/8`."""
    return next((word for word in label.split()[3:] if "/" not in word), "")
