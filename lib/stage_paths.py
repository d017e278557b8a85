"""The stages of a round by path, `PHASE/STAGE` and then `evaluate/SPLIT`, and which of them a person means."""

from __future__ import annotations

from lib.errors import UnknownName, UserError
from lib.recipe import Recipe

CLOSING = "evaluate/test"
"""The figures of the test split: taken once, after the last round, so they belong to no round."""


def paths(recipe: Recipe, number: int = 1) -> list[str]:
    """Every stage of round `number` that runs this recipe, in order; the first has them all."""
    splits = ("validation",) if recipe.gate is None else ("validation", "gate")
    phases = recipe.phases_of(number)
    ours = [f"{phase.name}/{name}" for phase in phases for name in (*phase.deciders, *(stage.label for stage in phase.pipeline))]
    return [*ours, *(f"evaluate/{split}" for split in splits)]


def named(recipe: Recipe, stage: str, phase: str | None = None, number: int = 1) -> tuple[str, ...]:
    """The paths that a stage's name or path stands for in a round, in the phase that is given: one, or for `evaluate` every split.

    Raises UnknownName with the near miss, or UserError where several phases have the stage.
    """
    every = paths(recipe, number)
    phases = list(dict.fromkeys(path.partition("/")[0] for path in every))
    if phase is not None and phase not in phases:
        raise UnknownName("phase", phase, phases, "in this round")
    if (stage if phase is None else f"{phase}/{stage}") == CLOSING:
        raise UserError("the test split is measured once, after the last round, and never again for a model; name another stage")
    if stage == "evaluate" and phase in (None, "evaluate"):
        return tuple(path for path in every if path.startswith("evaluate/"))
    ours = [path for path in every if phase in (None, path.partition("/")[0])]
    having = [path for path in ours if stage in (path, path.partition("/")[2])]
    if not having:
        raise UnknownName("stage", stage, ours, "in this round")
    if len(having) > 1:
        raise UserError(f"several phases have a stage '{stage}': {', '.join(having)}; name one with --phase")
    return (having[0],)
