"""What a person typed after `improve`, checked before anything runs, and typed again for a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.campaign import CampaignFolder
from lib.errors import UserError
from lib.home import Home
from lib.opened import refuse_other
from lib.opening import Opening
from lib.problems.files import FileProblems


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `improve`; None, empty or False where they were left out."""

    name: str | None = None
    recipe: str | None = None
    settings: list[str] = field(default_factory=list)
    rounds: int | None = None
    seed: int | None = None
    model: str | None = None
    problems: str | None = None
    count: int | None = None
    held_out: int | None = None
    warm_steps: int | None = None
    attempts: int | None = None
    numbers: int | None = None
    same_problems: bool = False
    warm_start: str | None = None

    @property
    def campaign(self) -> str:
        return self.name or Path(self.recipe or "expert_iteration").stem

    def checked(self, home: Home) -> CampaignFolder:
        """The campaign's folder. Raises UserError if what was asked could not begin it, or is not what it was begun with."""
        folder = CampaignFolder(home, self.campaign)
        if folder.exists:
            refuse_other(folder.load(), self.opening(), self.given())
        else:
            opening = self.opening()
            opening.counted(opening.preview()[1])
        return folder

    def left_out(self, home: Home) -> list[str]:
        """What a new campaign's problem files hold that cannot be used, a line for each kind."""
        if CampaignFolder(home, self.campaign).exists:
            return []
        source = self.opening().preview()[1]
        return source.left_out() if isinstance(source, FileProblems) else []

    def given(self) -> frozenset[str]:
        """The options that say how a campaign begins; how far it goes is another matter."""
        return frozenset(self._options()) - {"rounds"}

    def words(self) -> list[str]:
        """The options as they are typed."""
        found = []
        for option, value in self._options().items():
            values = value if isinstance(value, list) else [value]
            found += [word for one in values for word in ([f"--{option}"] if one is True else [f"--{option}", str(one)])]
        return found

    def opening(self) -> Opening:
        """The opening of a new campaign, with defaults for what was left out."""
        held_out = {"validation": self.held_out, "gate": 2 * self.held_out, "test": self.held_out} if self.held_out else {}
        values: dict[str, Any] = {
            "recipe": self.recipe,
            "settings": pairs(self.settings),
            "seed": self.seed,
            "model": self.model,
            "numbers": self.numbers,
            "problems": self.problems,
            "counts": {**({"train": self.count} if self.count else {}), **held_out},
            "warm_start": {"trainer.steps": str(self.warm_steps)} if self.warm_steps else {},
            "warm_recipe": self.warm_start,
            "rounds": self.rounds,
            "attempts": self.attempts,
            "fresh": not self.same_problems,
        }
        return Opening.model_validate({name: value for name, value in values.items() if value is not None})

    def _options(self) -> dict[str, Any]:
        values = {
            "recipe": self.recipe,
            "set": self.settings or None,
            "rounds": self.rounds,
            "seed": self.seed,
            "model": self.model,
            "problems": self.problems,
            "count": self.count,
            "held-out": self.held_out,
            "warm-steps": self.warm_steps,
            "warm-start": self.warm_start,
            "attempts": self.attempts,
            "numbers": self.numbers,
            "same-problems": self.same_problems or None,
        }
        return {name: value for name, value in values.items() if value is not None}


def pairs(settings: list[str]) -> dict[str, str]:
    """NAME=VALUE words as a mapping. Raises UserError for a word without `=`."""
    found = {}
    for word in settings:
        name, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"--set {word}: write it as NAME=VALUE, for instance sampler.n=16")
        found[name] = value
    return found
