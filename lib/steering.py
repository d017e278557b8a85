"""A phase as its controllers want it in a round: the same stages with other settings."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lib import recipe as recipes
from lib.deciding import Settings
from lib.errors import UnknownName, UserError
from lib.recipe import Phase, Recipe, Stage

FIXED = ("name", "role", "controllers")
"""Fields of a phase that nothing decides on: what a stage is called, and whose model it trains, is the recipe's own."""


def steered(phase: Phase, settings: Settings, by: str) -> Phase:
    """The phase with settings of dotted paths changed, as `lib.recipe.override` takes them: `sampler.temperature`.

    Raises UserError, naming the controller and the path, for a path that the phase does not have or a value that does not fit.
    """
    for path in settings:
        slot = path.partition(".")[0]
        if slot not in Phase.model_fields or slot in FIXED:
            raise UnknownName("setting", slot, set(Phase.model_fields) - {*FIXED}, f"for '{by}' to decide in phase '{phase.name}'")
    alone = Recipe(phases=(phase,), evaluators=())
    try:
        return recipes.override(alone, {path: json.dumps(value) for path, value in settings.items()}).phases[0]
    except UserError as error:
        raise UserError(f"controller '{by}' of phase '{phase.name}' decides on {', '.join(settings)}: {error}") from None


def probed(phase: Phase) -> Iterator[Stage]:
    """The stages that a probe runs: the first of the phase, as long as they sample or verify."""
    for stage in phase.pipeline:
        if stage.verb not in ("sample", "verify"):
            return
        yield stage
