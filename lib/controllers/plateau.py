"""When a campaign has learned what it will: no metric gains any more, or an alarm of collapse rings (K.stop)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from lib.alarms.every import Alarms
from lib.alarms.reading import ALARM
from lib.deciding import Past
from lib.errors import UnknownName, UserError
from lib.statistics import bootstrap_means
from lib.strategy import Strategy


class Plateau(Strategy):
    """Stops when none of the metrics gained more than `least_gain` in the last `rounds` rounds.

    An accepted round gained where the lower bound of its difference to the last accepted model before these rounds, on the
    same problems of the validation split, is above it (paired bootstrap, as the gate's). What noise hides counts as no
    gain: few problems stop a campaign early. Going back to an earlier model is left to the gate, whose champion stays.
    """

    metrics: tuple[str, ...] = Field(("pass_at_1",), min_length=1)
    """The metrics with a value per problem that are looked at."""
    rounds: int = Field(3, ge=1)
    """How many rounds without a gain are enough."""
    least_gain: float = Field(0.0, ge=0)
    """What a gain must be above, in the metric's unit."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Of the one-sided bound."""
    collapse: tuple[str, ...] = ("entropy", "variety")
    """Alarms that stop the campaign where the last round rings them at their highest level."""

    @field_validator("collapse")
    @classmethod
    def _are_alarms(cls, collapse: tuple[str, ...]) -> tuple[str, ...]:
        for name in collapse:
            if name not in Alarms.model_fields:
                raise UnknownName("alarm", name, Alarms.model_fields, "for Plateau")
        return collapse

    def stop(self, past: Sequence[Past], seed: int) -> str:
        """Why it stops, in a sentence; empty where it goes on. Raises UnknownName for a metric that nothing measures."""
        if len(past) < 2:
            return ""
        for alarm in past[-1].alarms:
            if alarm["alarm"] in self.collapse and alarm["level"] == ALARM:
                return f"round {past[-1].round} rings the alarm {alarm['alarm']}: {alarm['sentence']}"
        last = past[-1].round
        before = [one for one in past if one.accepted and one.round <= last - self.rounds]
        if not before:
            return ""
        gains = [self._gain(metric, before[-1], one, seed) for metric in self.metrics for one in past if one.round > last - self.rounds]
        if any(bound > self.least_gain for bound, _ in gains):
            return ""
        best = max((mean for _, mean in gains), default=-math.inf)
        told = f"the best difference to round {before[-1].round} is {best:+.3f}" if best > -math.inf else "none of them was accepted"
        names = " or ".join(metric.replace("_at_", "@") for metric in self.metrics)
        return f"no gain of {names} above {self.least_gain:g} in {self.rounds} rounds ({told}, at {self.confidence:.0%} confidence)"

    def _gain(self, metric: str, before: Past, now: Past, seed: int) -> tuple[float, float]:
        """Lower bound and mean of the differences; of a round that was rejected, no gain."""
        if not now.accepted:
            return -math.inf, -math.inf
        was, are = _values(before.items, metric), _values(now.items, metric)
        differences = [are[problem] - was[problem] for problem in sorted(are.keys() & was.keys())]
        if not differences:
            raise UserError(f"Plateau: rounds {before.round} and {now.round} share no problem with a value of '{metric}'")
        bound = np.quantile(bootstrap_means(differences, seed), 1 - self.confidence)
        return float(bound), math.fsum(differences) / len(differences)


def _values(items: pa.Table, metric: str) -> dict[str, float]:
    """Problem → value, by the first of the evaluators that measure the metric."""
    rows = sorted(items.to_pylist(), key=lambda row: str(row["evaluator"]), reverse=True)
    found = {row["problem_id"]: row["value"] for row in rows if row["metric"] == metric}
    if not found:
        raise UnknownName("metric", metric, set(items["metric"].to_pylist()), "with a value per problem for Plateau")
    return found
