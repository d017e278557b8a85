"""A comparison on disk: which recipes and seeds it sets side by side, and by what options all of them begin.

comparisons/NAME/comparison.json     the settings, so that `roundhouse compare --name NAME` alone goes on
comparisons/NAME/comparison.html     the page, once there are figures
comparisons/NAME/figures.json        what the page shows, in numbers

Its campaigns are NAME-RECIPE-seedS, like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from lib import holding
from lib.campaign import CampaignFolder
from lib.errors import UnknownName, UserError
from lib.files import read_json, write_json
from lib.home import Home
from lib.strategy import Settings


class Member(NamedTuple):
    """One campaign of a comparison."""

    campaign: str
    recipe: str
    """By its short name; a recipe file goes by its stem."""
    seed: int


class Comparison(Settings):
    """What was asked for."""

    name: str
    recipes: tuple[str, ...] = Field(min_length=1)
    """Names in lib/recipes or absolute paths of recipe files, the one of interest first."""
    seeds: tuple[int, ...] = Field(min_length=1)
    rounds: int = 3
    budget_tokens: int | None = None
    """The most that the rounds of each campaign may sample and train on (lib.loop_tokens)."""
    settings: dict[str, str] = Field(default_factory=dict)
    """Changes to every recipe, by dotted path."""
    own: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Short name of a recipe → changes to it alone."""
    options: dict[str, str | int] = Field(default_factory=dict)
    """What else all campaigns begin with: model, problems, count, held-out, warm-steps, numbers."""

    @property
    def shorts(self) -> dict[str, str]:
        """Short name → the recipe as it was given. Raises UserError where two have the same."""
        found = {Path(recipe).stem if recipe.endswith(".py") else recipe: recipe for recipe in self.recipes}
        if len(found) < len(self.recipes):
            raise UserError("two of the recipes have the same name; give each of them once, or rename a file")
        return found

    def members(self) -> list[Member]:
        """Its campaigns, seed by seed, so that the first seed of all is done before the last of any."""
        return [Member(f"{self.name}-{short}-seed{seed}", short, seed) for seed in self.seeds for short in self.shorts]

    def changes(self, short: str) -> dict[str, str]:
        """Settings of one recipe; its own come after those of all."""
        return {**self.settings, **self.own.get(short, {})}

    def grown(self, given: Mapping[str, Any]) -> Comparison:
        """The same with what was given now: further recipes, seeds and rounds, another budget.

        Raises UserError, saying both, for anything else that is not as it was begun.
        """
        for field in ("recipes", "seeds"):
            if field in given and (lost := [one for one in getattr(self, field) if one not in given[field]]):
                raise self._begun_with(f"--{field} with {lost[0]}", f"--{field} without it")
        there = {**given, "own": {short: own for short, own in given.get("own", {}).items() if short in self.shorts}}
        for field in ("settings", "own"):
            if field in given and there[field] != getattr(self, field):
                raise self._begun_with(_spoken_settings(self), _spoken_settings(self.model_copy(update=dict(given))))
        for option, value in given.get("options", {}).items():
            if self.options.get(option) != value:
                was = f"--{option} {self.options[option]}" if option in self.options else f"no --{option}"
                raise self._begun_with(was, f"--{option} {value}")
        kept = {name: value for name, value in given.items() if name != "options"}
        return self.model_copy(update={**kept, "rounds": max(self.rounds, given.get("rounds", 0))})

    def _begun_with(self, was: str, asked: str) -> UserError:
        return UserError(
            f"comparison '{self.name}' was begun with {was}, and {asked} is asked for; leave that out to continue, "
            "or begin another one with --name OTHERNAME"
        )


def _spoken_settings(found: Comparison) -> str:
    words = [f"{path}={value}" for path, value in found.settings.items()]
    words += [f"{short}:{path}={value}" for short, changes in found.own.items() for path, value in changes.items()]
    return " ".join(f"--set {word}" for word in words) or "no --set"


class ComparisonFolder:
    """The folder of one comparison."""

    def __init__(self, home: Home, name: str) -> None:
        CampaignFolder(home, name)  # its campaigns begin with this name
        self.home = home
        self.name = name
        self.path = home.comparisons / name

    @property
    def exists(self) -> bool:
        return (self.path / "comparison.json").is_file()

    @property
    def page(self) -> Path:
        return self.path / "comparison.html"

    def load(self) -> Comparison:
        """Its settings. Raises UnknownName for a comparison that is not there, UserError for one that is damaged."""
        if not self.exists:
            raise UnknownName("comparison", self.name, names(self.home), "begun here; begin it with --recipes A,B")
        path = self.path / "comparison.json"
        try:
            return Comparison.model_validate(read_json(path))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise UserError(f"{path} is damaged ({where}: {first['msg']}); restore it, or begin another comparison") from None

    def keep(self, comparison: Comparison) -> None:
        """Note its settings for whoever goes on with it."""
        write_json(self.path / "comparison.json", comparison.model_dump(mode="json"))

    def keep_figures(self, facts: Mapping[str, Any]) -> None:
        """Leave what was found, in numbers."""
        write_json(self.path / "figures.json", facts)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Run this comparison alone. Raises Held, saying who holds it."""
        with holding.hold(self.path, self.name, wait=False, what="comparison"):
            yield


def names(home: Home) -> list[str]:
    """Every comparison of a home."""
    return sorted(path.parent.name for path in home.comparisons.glob("*/comparison.json"))


def of_campaign(home: Home, campaign: str) -> str | None:
    """The comparison that a campaign is part of; None for one by itself, or where the comparison cannot be read."""
    for name in names(home):
        if campaign.startswith(f"{name}-"):
            try:
                members = ComparisonFolder(home, name).load().members()
            except UserError:
                continue
            if any(member.campaign == campaign for member in members):
                return name
    return None
