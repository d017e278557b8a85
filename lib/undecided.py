"""When too many verdicts are undecided for what rests on them to be believed."""

from __future__ import annotations

from collections.abc import Mapping

from lib.errors import TooManyUndecided

LIMIT = 0.05
"""The share of undecided verdicts past which a stage, an evaluation or an iteration of a training is refused unless told otherwise."""


def refuse(name: str, limit: float, outcomes: Mapping[str, int], look: str = "look at their reasons in the verdicts table") -> None:
    """Raise TooManyUndecided if more than `limit` of these outcomes are undecided; `look` says what to do about them."""
    total, undecided = sum(outcomes.values()), outcomes.get("undecided", 0)
    if undecided > limit * total:
        raise TooManyUndecided(
            f"{name}: {undecided} of {total} verdicts are undecided, over the limit of {limit:.0%}; {look}, or raise undecided_limit"
        )
