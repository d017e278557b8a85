"""What a person asks for when a campaign begins, and the recipe and problems that come of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from lib import recipe as recipes
from lib import recipe_settled
from lib.campaign import CampaignFolder
from lib.errors import BadModel, BadProblems, UserError
from lib.hub import HUB
from lib.problems.countdown import Countdown
from lib.problems.files import FileProblems
from lib.problems.named import named, whole
from lib.recipe import Recipe
from lib.soundness import refuse_unsound
from lib.strategy import Settings, Strategy, UserCode

COUNTS = {"train": 2500, "validation": 400, "gate": 800, "test": 400}
"""Problems of each split unless asked otherwise."""

OF_PROBLEMS = "problems."
"""What a setting of the problem set begins with, among those of the recipe."""

WARM_PROBLEMS = 2500
"""Solved problems that the built-in model is warm-started on."""


class Opening(Settings):
    """How a campaign is to begin."""

    recipe: str = "expert_iteration"
    """A name in lib/recipes, or the path of a Python file with RECIPE = Recipe(...)."""
    settings: dict[str, str] = Field(default_factory=dict)
    """Changes to the recipe by dotted path."""
    seed: int = 0
    """Seed of the base model and of everything that rounds draw; the problems are the same for every seed."""
    model: str | None = None
    """A model folder; None is the built-in model."""
    numbers: Literal[3, 4, 5] | None = None
    """How many numbers the built-in problems have; None leaves Countdown and the recipe as they are."""
    problems: str | None = None
    """A problem set, `NAME:PATH` or a file; None is the built-in Countdown, or the recipe file's own PROBLEMS."""
    counts: dict[str, int] = Field(default_factory=dict)
    """Problems of each split (train, validation, gate, test) that were asked for; the rest is up to `counted`."""
    fresh: bool = True
    """Whether each round trains on the next problems of the split, or all on the same."""
    warm_start: dict[str, str] = Field(default_factory=dict)
    """Changes to the recipe of the built-in model's warm start."""
    warm_recipe: str | None = None
    """The recipe of the built-in model's warm start; None leaves it to the recipe."""
    rounds: int = 3
    attempts: int = 1
    """How often a rejected round is tried before the campaign goes on."""

    @field_validator("problems")
    @classmethod
    def _whole(cls, spec: str | None) -> str | None:
        return whole(spec) if spec else None

    def resolve(self, folder: CampaignFolder) -> tuple[Recipe, Strategy]:
        """The recipe with its changes, the problem set's own verifiers and the guard of held-out problems, and the problem set.

        A user's recipe file is copied into the campaign first and loaded from the copy, so that the campaign holds the
        code that it ran.
        """
        name = self.recipe
        if name.endswith(".py"):
            name = str(folder.copy_code(recipes.existing_file(name)))
            UserCode.allow(folder.code)
        return self._made(name)

    def preview(self) -> tuple[Recipe, Strategy]:
        """What `resolve` would return or raise, with nothing copied or written."""
        if self.recipe.endswith(".py"):
            UserCode.allow(recipes.existing_file(self.recipe).resolve().parent)
        if self.model is not None and self.warm_recipe is not None:
            raise UserError(f"--model {self.model} is trained already and --warm-start is for the built-in model; leave one of them out")
        if self.model is not None and not self.model.startswith(HUB) and not Path(self.model).expanduser().is_dir():
            raise BadModel(f"no model folder '{self.model}'; give a folder written by save_pretrained")
        made = self._made(self.recipe)
        if self.model is not None and Path(self.model).expanduser().is_dir() and not _has_config(Path(self.model).expanduser()):
            raise BadModel(f"{self.model} has no config.json; give a folder written by save_pretrained")
        return made

    def counted(self, source: Any) -> dict[str, int]:
        """Problems of each split: as many as were asked for, else the usual number or what a smaller set has.

        Raises BadProblems if a file has fewer than were asked for, or none for a split.
        """
        if not isinstance(source, FileProblems):
            return {**COUNTS, **self.counts}
        have = {split: source.available(split) for split in COUNTS}
        for split, count in have.items():
            if not count:
                raise BadProblems(f"{source.path} has no problems for split '{split}'; a set of dozens is needed to hold some out")
            if split != "train" and self.counts.get(split, 0) > count:
                most = min(have["validation"], have["test"], have["gate"] // 2)
                raise BadProblems(
                    f"{source.path} has {count} problems of split '{split}' and {self.counts[split]} were asked for; --held-out {most} fits"
                )
        return {**{split: min(count, have[split]) for split, count in COUNTS.items()}, **self.counts}

    def warm_start_of(self, source: Any, recipe: Recipe | None = None) -> Recipe:
        """The recipe of the built-in model's warm start on a problem set: the one asked for, or the recipe's own.

        Raises UserError for a file: its code would have no place in the campaign, which holds that of the recipe alone.
        """
        name = self.warm_recipe or (recipe.warm_start if recipe else "warm_start")
        if name.endswith(".py"):
            raise UserError(
                f"the warm start '{name}' is a file, and only recipes of lib/recipes warm-start the built-in model; run it as a campaign "
                "(--recipe), give its model away with: roundhouse export model, and begin with that folder (--model)"
            )
        found = self._with_room(recipes.load(name)[0], source)
        return guarded(recipe_settled.with_verifiers(recipes.override(found, _in_every_place(found, self.warm_start)), source.verifiers()))

    def _made(self, name: str) -> tuple[Recipe, Strategy]:
        found, _ = recipes.load(name)
        source = self._problem_set(name, found)
        own = {path: value for path, value in self.settings.items() if not path.startswith(OF_PROBLEMS)}
        changed = recipes.override(self._with_room(found, source), own)
        recipe = guarded(recipe_settled.with_verifiers(changed, source.verifiers()))
        refuse_unsound(recipe, replayable=frozenset({"base"} if self.model is None else ()))
        if self.model is None:
            self.warm_start_of(source, recipe)  # a mistake in it is told before anything is begun
        return recipe, source

    def _with_room(self, recipe: Recipe, source: Any) -> Recipe:
        """Longer problems need longer answers; what --set says comes after and stands."""
        longer = self.numbers or (isinstance(source, Countdown) and source.numbers > 3)
        return recipe_settled.with_room(recipe, source.largest_answer_tokens) if longer else recipe

    def _problem_set(self, name: str, recipe: Recipe) -> Any:
        """The user's PROBLEMS, if the recipe file has one, else the recipe's own or Countdown."""
        settings = {path.removeprefix(OF_PROBLEMS): value for path, value in self.settings.items() if path.startswith(OF_PROBLEMS)}
        if self.problems is not None:
            return self._refuse_misfit(named(self.problems, settings), f"--problems {self.problems}")
        if settings:
            raise UserError(f"--set {OF_PROBLEMS}{next(iter(settings))} changes a problem set, and none is named; give one with --problems")
        found = getattr(UserCode.module(Path(name).stem), "PROBLEMS", None) if name.endswith(".py") else None
        if found is None and (self.numbers or recipe.problems is None):
            return Countdown(numbers=self.numbers) if self.numbers else Countdown()
        found = found or recipe.problems
        if not (isinstance(found, Strategy) and hasattr(found, "problems") and hasattr(found, "verifiers")):
            raise UserError(f"{name}: PROBLEMS must be a Strategy with problems(split, count, seed, exclude) and verifiers()")
        return self._refuse_misfit(found, f"{name} with PROBLEMS of its own")

    def _refuse_misfit(self, source: Any, given: str) -> Any:
        """The built-in model reads Countdown only."""
        if isinstance(source, Countdown):
            return source
        if self.numbers:
            raise UserError(f"--numbers {self.numbers} is for the built-in Countdown, and {given} is another set; leave one out")
        if self.model is None:
            raise UserError(f"{given} needs a model that reads it, and the built-in one reads sums only; give a model folder with --model")
        return source


def _in_every_place(recipe: Recipe, settings: dict[str, str]) -> dict[str, str]:
    """The settings of a slot such as `trainer.steps`, for each stage of the recipe that it stands for."""
    found: dict[str, str] = {}
    for path, value in settings.items():
        slot, _, rest = path.partition(".")
        found |= {f"{place}.{rest}": value for place in recipes.places(recipe.dump(), slot)} or {path: value}
    return found


def _has_config(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))


def guarded(recipe: Recipe) -> Recipe:
    """The recipe with `decontaminate` written as the first filter of every filter stage, and every online trainer, without one."""
    values = recipe.dump()
    guard = values["decontaminate"]
    if guard is None:
        return recipe
    for phase in values["phases"]:
        slots = [(phase, "filters")] if phase["sampler"] else []
        for holder, name in [*slots, *((stage, "run") for stage in phase["stages"] if stage["verb"] == "filter")]:
            if all(member["strategy"] != guard["strategy"] for member in holder[name]):
                holder[name] = [guard, *holder[name]]
    for trainer in recipe_settled.online_trainers(values):
        if all(member["strategy"] != guard["strategy"] for member in trainer["filters"]):
            trainer["filters"] = [guard, *trainer["filters"]]
    return Recipe.model_validate(values)
