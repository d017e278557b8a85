"""pass@1 against pass@k: a model that is surer of what it could do before, and can do less, is sharpened and not better."""

from __future__ import annotations

import re

from pydantic import Field

from lib.alarms.reading import ALARM, OK, WATCH, Reading, not_applicable
from lib.alarms.seen import Change, Seen
from lib.strategy import Settings

SURE = 1.645
"""Standard errors: 95 %, one-sided."""


class Sharpening(Settings):
    """How far pass@k (the largest k measured) fell since the base model, while pass@1 did not; 0 where it rose.

    On the same validation problems. RL with verifiable rewards raises pass@1 and lowers pass@k at large k (Yue et al. 2025,
    "Does reinforcement learning really incentivize reasoning capacity in LLMs beyond the base model?").
    """

    watch: float = Field(0.0, ge=0)
    """A fall beyond chance (one-sided 95 %) is watched from here on."""
    alarm: float = Field(0.02, ge=0)
    """The margin that the gate allows a metric unless told otherwise (lib.gate)."""

    def read(self, seen: Seen) -> Reading:
        k = max((int(found[1]) for name in seen.changes if (found := re.fullmatch(r"pass_at_(\d+)", name))), default=0)
        if k < 2 or "pass_at_1" not in seen.changes:
            return not_applicable("no evaluator measures pass@1 and pass@k for a larger k")
        one, many = seen.changes["pass_at_1"], seen.changes[f"pass_at_{k}"]
        fall = max(0.0, -many.mean) if one.mean >= 0 else 0.0
        beyond_chance = fall > SURE * (many.stderr or 0.0)
        level = OK if not beyond_chance or fall <= self.watch else WATCH if fall <= self.alarm else ALARM
        sentence = f"Since the base model pass@1 moved by {one.mean:+.3f} and pass@{k} by {many.mean:+.3f}{_error(many)}"
        meaning = {OK: "", WATCH: ": sharpening has begun", ALARM: ": the model got surer and can do less"}[level]
        return Reading(fall, f"{sentence}{meaning}.", level, self.watch, self.alarm, many.n)


def _error(change: Change) -> str:
    return "" if change.stderr is None else f" (± {change.stderr:.3f})"
