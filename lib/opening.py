"""What a person asks for when a campaign begins, and its check against a campaign that is there already."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from pydantic import Field

from lib import recipe as recipes
from lib.campaign import Campaign, CampaignFolder
from lib.errors import UserError
from lib.problems.countdown import Countdown
from lib.recipe import Recipe
from lib.strategy import Settings, Strategy, UserCode

COUNTS = {"train": 2500, "validation": 400, "gate": 800, "test": 800}
"""Problems of each split unless asked otherwise."""

WARM_PROBLEMS = 2500
"""Solved problems that the built-in model is warm-started on."""


class Opening(Settings):
    """How a campaign is to begin."""

    recipe: str = "expert_iteration"
    """A name in lib/recipes, or the path of a Python file with RECIPE = Recipe(...)."""
    settings: dict[str, str] = Field(default_factory=dict)
    """Changes to the recipe by dotted path."""
    seed: int = 0
    model: str | None = None
    """A model folder or hub name; None is the built-in model."""
    counts: dict[str, int] = Field(default_factory=COUNTS.copy)
    """Problems of each split: train, validation, gate, test."""
    fresh: bool = True
    """Whether each round trains on the next problems of the split, or all on the same."""
    warm_start: dict[str, str] = Field(default_factory=dict)
    """Changes to the recipe of the built-in model's warm start."""
    rounds: int = 3
    attempts: int = 1
    """How often a rejected round is tried before the campaign goes on."""

    def resolve(self, folder: CampaignFolder) -> tuple[Recipe, Strategy]:
        """The recipe with its changes and the problem set's own verifiers, and the problem set.

        A user's recipe file is copied into the campaign first and loaded from the copy, so that the campaign holds the
        code that it ran.
        """
        name = self.recipe
        if name.endswith(".py"):
            if not Path(name).is_file():
                raise UserError(f"no recipe file {name}; give the path of a Python file with RECIPE = Recipe(...)")
            name = str(folder.copy_code(Path(name)))
            UserCode.allow(folder.code)
        found, _ = recipes.load(name)
        source = _problem_set(name)
        return recipes.with_verifiers(recipes.override(found, self.settings), source.verifiers()), source

    def preview(self) -> Recipe:
        """The recipe as it would run, with nothing copied or written; raises as `resolve` would."""
        if self.recipe.endswith(".py"):
            UserCode.allow(Path(self.recipe).resolve().parent)
        found, _ = recipes.load(self.recipe)
        return recipes.with_verifiers(recipes.override(found, self.settings), _problem_set(self.recipe).verifiers())

    def refuse_other(self, campaign: Campaign, given: frozenset[str]) -> None:
        """Raise UserError if a setting that the user gave differs from what the campaign was begun with."""
        stored: dict[str, Any] = {"recipe": campaign.recipe_name, "seed": campaign.seed}
        for name in sorted(given & {"recipe", "seed"}):
            asked = Path(self.recipe).stem if name == "recipe" else getattr(self, name)
            if asked != stored[name]:
                raise UserError(
                    f"campaign '{campaign.name}' was begun with {name} {stored[name]}, not {asked}; "
                    "leave it out to continue, or begin another campaign with --name"
                )
        for name in sorted(given & {"settings", "model"}):
            raise UserError(f"campaign '{campaign.name}' is begun already and its {name} is fixed; begin another with --name")


def _problem_set(recipe_name: str) -> Any:
    """The user's PROBLEMS, if the recipe file has one, else Countdown."""
    if not recipe_name.endswith(".py"):
        return Countdown()
    found = getattr(importlib.import_module(Path(recipe_name).stem), "PROBLEMS", None)
    if found is None:
        return Countdown()
    if not (isinstance(found, Strategy) and hasattr(found, "problems") and hasattr(found, "verifiers")):
        raise UserError(f"{recipe_name}: PROBLEMS must be a Strategy with problems(split, count, seed, exclude) and verifiers()")
    return found
