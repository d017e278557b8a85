"""What an alarm says of one round: a value, the thresholds it was held against, a level, and one plain sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

OK, WATCH, ALARM, NONE = "ok", "watch", "alarm", "not applicable"

RINGING = (WATCH, ALARM)
"""The levels that people are told of."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One alarm in one round."""

    value: float | None
    """None where the round has nothing to read it from."""
    sentence: str
    level: str = NONE
    watch_from: float | None = None
    alarm_from: float | None = None
    n: int = 0
    """How many completions, problems or examples the value is of."""

    def named(self, name: str) -> dict[str, Any]:
        """As it stands in a round's record."""
        return {"alarm": name, **asdict(self)}


def not_applicable(why: str) -> Reading:
    """An alarm that a round has nothing to read from."""
    return Reading(None, f"Not applicable: {why}.")


def above(value: float, watch: float, alarm: float) -> str:
    """The level of a value that is the worse the higher it is."""
    return ALARM if value > alarm else WATCH if value > watch else OK


def below(value: float, watch: float, alarm: float) -> str:
    """The level of a value that is the worse the lower it is."""
    return ALARM if value < alarm else WATCH if value < watch else OK


def percent(share: float, places: int = 1) -> str:
    """A share as people write it."""
    return f"{100 * share:.{places}f} %"
