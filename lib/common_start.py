"""What a fair comparison begins with: one starting model and one problem set for all of its recipes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib.errors import UserError


def common_start(
    wanted: Mapping[str, tuple[str, Any]], warm_start: str | None = None, problems: Any = None, *, has_model: bool = False
) -> tuple[str, Any]:
    """The warm start and the problem set that every recipe begins with, from recipe → (warm start, problem set or None).

    A recipe whose problem set is None takes any. `warm_start` and `problems` are what was asked for, and settle it for all; a
    model folder (`has_model`) leaves no warm start to choose. Raises UserError, naming two recipes that differ and the option
    that settles it.
    """
    starts = {recipe: start for recipe, (start, _) in wanted.items()}
    sets = {recipe: found for recipe, (_, found) in wanted.items() if found is not None}
    if warm_start is None and not has_model:
        _refuse_several(starts, "from the warm start '{}'", "--warm-start NAME begins all of them from one")
    if problems is None:
        _refuse_several(sets, "on {}", "--numbers N or --problems SET gives all of them the same")
    return warm_start or next(iter(starts.values())), problems if problems is not None else next(iter(sets.values()), None)


def _refuse_several(of: Mapping[str, Any], words: str, remedy: str) -> None:
    recipes = list(of)
    for other in recipes[1:]:
        if of[other] != of[recipes[0]]:
            first, second = (f"'{recipe}' begins {words.format(of[recipe])}" for recipe in (recipes[0], other))
            raise UserError(f"{first} and {second}, so their figures could not be compared; {remedy}")
