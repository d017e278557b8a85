"""The gate: may the new model take the champion's place? A pure function of two tables of values per problem.

The test is one of non-inferiority on the same problems: the new model passes unless it may well be worse by more than a
margin. With few problems the interval is wide and the gate strict; the sentence says how small a difference they can tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from lib.errors import UnknownName, UserError
from lib.statistics import bootstrap_means, minimum_detectable_effect
from lib.strategy import Settings

_SHARED = 0.95
"""Share of the problems that both models must have a value for: undecided ones may be missing, another set may not."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate found. Numbers are None where there is no champion to compare with.

    `low` and `high` are the two-sided interval of the difference, `bound` the one-sided bound that decides.
    """

    accepted: bool
    sentence: str
    n: int
    new: float
    champion: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    smallest_effect: float | None = None


class Gate(Settings):
    """Accepts a model if the lower one-sided bound of (new - champion) is above -margin, for each metric it reads."""

    metric: str = "pass_at_1"
    """The metric with a value per problem that the decision is about."""
    margin: float = Field(0.02, ge=0)
    """How much worse the new model may be, in the metric's unit."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Of the one-sided bound that decides, and of the two-sided interval that is printed."""
    must_not_regress: tuple[tuple[str, float], ...] = ()
    """Further metrics that must pass the same test, each with its own margin."""

    def decide(self, new_items: pa.Table, champion_items: pa.Table | None, seed: int) -> Decision:
        """Compare rows of records.METRIC_ITEMS over the same problems; without a champion the new model is accepted.

        Raises UserError if the problems differ (more than the few that an undecided verdict leaves out), and
        UnknownName if the items lack the metric.
        """
        if champion_items is None:
            values = list(_values(new_items, self.metric).values())
            new = math.fsum(values) / len(values)
            sentence = f"accepted: {_spoken(self.metric)} {new:.3f} on {len(values)} problems, the first champion"
            return Decision(True, sentence, len(values), new)
        found = self._compare(self.metric, self.margin, new_items, champion_items, seed)
        held = ""
        for metric, margin in self.must_not_regress if found.accepted else ():
            other = self._compare(metric, margin, new_items, champion_items, seed)
            if not other.accepted:
                return other
            held += f"; {_spoken(metric)} holds, {other.difference:+.3f}, and {_worst(other.bound or 0.0, True)} ({margin:g} at most)"
        return replace(found, sentence=found.sentence + held)

    def _compare(self, metric: str, margin: float, new_items: pa.Table, champion_items: pa.Table, seed: int) -> Decision:
        pairs = _paired(_values(new_items, metric), _values(champion_items, metric), metric)
        n = len(pairs)
        new, champion = (math.fsum(side) / n for side in zip(*pairs, strict=True))
        differences = [ours - theirs for ours, theirs in pairs]
        means = bootstrap_means(differences, seed)
        tail = 1 - self.confidence
        bound, low, high = (float(q) for q in np.quantile(means, [tail, tail / 2, 1 - tail / 2]))
        effect = minimum_detectable_effect(differences, self.confidence)
        accepted = bound > -margin
        percent = f"{self.confidence * 100:.3g} %"
        sentence = (
            f"{'accepted' if accepted else 'rejected'}: {_spoken(metric)} {new:.3f} against the champion's {champion:.3f} on the same {n} "
            f"problems, a difference of {new - champion:+.3f} ({percent} interval {low:+.3f} to {high:+.3f}); it may be worse by "
            f"{margin:g} at most, and {_worst(bound, accepted)} with {percent} confidence; {_reach(effect, n)}"
        )
        return Decision(accepted, sentence, n, new, champion, new - champion, low, high, bound, effect)


def _values(items: pa.Table, metric: str) -> dict[str, float]:
    rows = items.filter(pc.field("metric") == metric)
    if not rows.num_rows:
        raise UnknownName("metric", metric, set(items["metric"].to_pylist()), "with a value per problem for the gate")
    values = dict(zip(rows["problem_id"].to_pylist(), rows["value"].to_pylist(), strict=True))
    if len(values) != rows.num_rows:
        raise UserError(f"gate: several values of '{metric}' per problem; give the gate one evaluator and one split")
    return values


def _paired(new: dict[str, float], champion: dict[str, float], metric: str) -> list[tuple[float, float]]:
    shared = sorted(new.keys() & champion.keys())
    if len(shared) < max(2, _SHARED * len(new.keys() | champion.keys())):
        raise UserError(
            f"gate: the models have {len(shared)} problems with '{metric}' in common, of {len(new)} and {len(champion)}; "
            "evaluate both on the same gate split of 2 problems or more"
        )
    return [(new[name], champion[name]) for name in shared]


def _worst(bound: float, accepted: bool) -> str:
    """What the one-sided bound says, which decides."""
    if not accepted:
        return f"all that can be said is that it is worse by {-bound:.3f} at most"
    return f"is worse by no more than {-bound:.2g}" if bound < 0 else f"is better by {bound:.3f} or more" if bound > 0 else "is no worse"


def _reach(effect: float | None, n: int) -> str:
    """How small a difference the problems could have told."""
    return (
        f"{n} problems like these can tell a difference of {effect:.2g}, and none much smaller"
        if effect
        else "no problem came out otherwise"
    )


def _spoken(metric: str) -> str:
    return metric.replace("_at_", "@")
