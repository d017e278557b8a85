"""A recipe: which strategies each stage of a round uses. A published method is a recipe of about twenty lines.

A phase names its stages in order. Most have one of each kind, and then four slots say it all; in full it is a tuple of
named stages, each reading the stage before it unless `reads` names others (`NAME` in this phase, `PHASE/NAME` elsewhere).
Reading a stage also gives what that stage read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from lib import recipes, undecided
from lib.alarms.every import Alarms
from lib.deciding import named
from lib.engines.huggingface import Huggingface
from lib.errors import RoundhouseError, UnknownName, UserError
from lib.filters.decontaminate import Decontaminate
from lib.gate import Gate
from lib.memory import Memory
from lib.source import imported
from lib.strategy import AnyStrategy, Settings, UserCode

Verb = Literal["sample", "verify", "filter", "train", "evaluate"]

METHODS = {"sample": ("sample",), "verify": ("verify",), "filter": ("filter", "build"), "train": ("train", "train_online")}
"""Verb of a stage → the methods of which its strategies must have one."""

SLOTS = {
    "sampler": ("sample", "run.0"),
    "verifiers": ("verify", "run"),
    "filters": ("filter", "run"),
    "trainer": ("train", "run.0"),
    "accumulate": ("train", "accumulate"),
    "keep_rounds": ("train", "keep_rounds"),
    "keep_rows": ("train", "keep_rows"),
    "evict": ("train", "evict"),
}
"""Field of a phase → the verb of the stage that it stands for, and where in that stage it is."""


class Stage(Memory):
    """One named stage of a phase."""

    verb: Verb
    """What it does."""
    run: tuple[AnyStrategy, ...] = ()
    """Its strategies: one sampler or trainer, any number of verifiers, filters ending in a builder. A verify stage with
    none takes the problem set's own verifiers."""
    name: str = ""
    """Its name in the phase; the verb unless given."""
    reads: tuple[str, ...] = ()
    """The stages it reads; the one before it unless given."""
    undecided_limit: float = undecided.LIMIT
    """The share of undecided verdicts past which a verify stage fails."""
    gold: str = ""
    """The verifier by which a verify stage measures its others; unless given, the first that compares with the gold answer."""

    @model_validator(mode="after")
    def _strategies_fit(self) -> Stage:
        for strategy in self.run:
            if not any(hasattr(strategy, method) for method in METHODS.get(self.verb, ())):
                raise UserError(f"{type(strategy).__name__} cannot {self.verb}; give a strategy of lib/{self.verb}…")
        if self.verb in ("sample", "train") and len(self.run) != 1:
            raise UserError(f"stage '{self.label}' needs exactly one strategy, and has {len(self.run)}")
        return self

    @property
    def label(self) -> str:
        return self.name or self.verb


class Phase(Memory):
    """Stages in order for one role: the four slots, or `stages` in full."""

    name: str = "main"
    """What its stages' paths begin with."""
    role: str = "policy"
    """The role whose model is trained here."""
    first_round_only: bool = False
    """Whether later rounds leave it out: for what must be there before the loop can begin, such as a first value model."""
    sampler: AnyStrategy | None = None
    """What writes completions; with it come a verify and a filter stage."""
    verifiers: tuple[AnyStrategy, ...] = ()
    """What judges them; none takes the problem set's own."""
    filters: tuple[AnyStrategy, ...] = ()
    """What leaves completions out, in order; the last may be a builder, which makes the examples."""
    trainer: AnyStrategy | None = None
    stages: tuple[Stage, ...] = ()
    """In full, instead of the four slots."""
    controllers: tuple[AnyStrategy, ...] = ()
    """What decides on settings or problems of this phase before its stages run, in order (lib.deciding)."""

    @model_validator(mode="after")
    def _one_form(self) -> Phase:
        slots = bool(self.sampler or self.verifiers or self.filters or self.trainer)
        if slots == bool(self.stages):
            raise UserError(f"phase '{self.name}' needs either the four slots (sampler, …) or stages, not both and not neither")
        seen: set[str] = set()
        for stage in self.pipeline:
            if stage.label in seen:
                raise UserError(f"phase '{self.name}' has two stages named '{stage.label}'; give one another name")
            for name in stage.reads:
                if "/" not in name and name not in seen:
                    raise UnknownName("stage", name, seen, f"before '{stage.label}' in phase '{self.name}'")
            seen.add(stage.label)
        if both := seen & self.deciders.keys():
            raise UserError(f"phase '{self.name}' has a stage named '{min(both)}' as its controller is; give the stage another name")
        return self

    @property
    def deciders(self) -> dict[str, Any]:
        """Name → controller, in order."""
        return named(self.controllers)

    @property
    def pipeline(self) -> tuple[Stage, ...]:
        """The stages in order, the four slots written out."""
        if self.stages:
            return self.stages
        stages: list[Stage] = []
        if self.sampler is not None:
            stages.append(Stage(verb="sample", run=(self.sampler,)))
            stages.append(Stage(verb="verify", run=self.verifiers))
            stages.append(Stage(verb="filter", run=self.filters))
        if self.trainer is not None:
            memory = {name: getattr(self, name) for name in Memory.model_fields}
            stages.append(Stage(verb="train", run=(self.trainer,), **memory))
        return tuple(stages)


class Recipe(Settings):
    """The phases of a round, what measures its models, and what promotes them."""

    phases: tuple[Phase, ...]
    evaluators: tuple[AnyStrategy, ...]
    warm_start: str = "warm_start"
    """The recipe in lib/recipes by which the built-in model is made, where no other is given."""
    problems: AnyStrategy | None = None
    """The problem set, where none is asked for; None is the built-in Countdown."""
    engine: AnyStrategy = Huggingface()
    """Where tokens come from."""
    engines: dict[str, AnyStrategy] = Field(default_factory=dict)
    """Role → its own engine where it needs another, such as `{"reward_model": Classifier()}` or a server for the judge."""
    decontaminate: AnyStrategy | None = Decontaminate()
    """The filter that every filter stage begins with, to keep held-out problems out of training; None leaves it out."""
    gate: Gate | None = Gate()
    """What a new model must show to become champion; None promotes every model."""
    alarms: Alarms = Alarms()
    """What is watched in every round; an alarm is told and recorded, and stops nothing."""
    stop: AnyStrategy | None = None
    """What ends the campaign before its last round, such as Plateau(); asked before each new round."""

    def stages(self, number: int = 1) -> Iterator[tuple[Phase, Stage]]:
        """Every stage of a round, in order, with its phase; of the first one, which has them all, unless a number is given."""
        for phase in self.phases_of(number):
            for stage in phase.pipeline:
                yield phase, stage

    def phases_of(self, number: int) -> list[Phase]:
        """The phases of a round."""
        return [phase for phase in self.phases if number <= 1 or not phase.first_round_only]

    @property
    def trained_roles(self) -> list[str]:
        """The roles whose models a round makes, each once."""
        return list(dict.fromkeys(phase.role for phase, stage in self.stages() if stage.verb == "train"))

    def dump(self) -> dict[str, Any]:
        """As JSON values; `Recipe.model_validate` makes it again."""
        return self.model_dump(mode="json")


def names() -> list[str]:
    """The recipes of lib/recipes."""
    return sorted(p.stem for p in Path(str(recipes.__file__)).parent.glob("*.py") if p.stem != "__init__")


def load(name_or_file: str) -> tuple[Recipe, str]:
    """A recipe by the name of its file in lib/recipes, or from a user's Python file, with its docstring.

    A user's file needs its folder allowed first (`strategy.UserCode.allow`). Raises UnknownName, or UserError if the
    file has no RECIPE.
    """
    if name_or_file.endswith(".py"):
        return _load_file(Path(name_or_file))
    if name_or_file not in names():
        raise UnknownName("recipe", name_or_file, names(), "in lib/recipes; a file's name must end in .py")
    module = imported(f"lib.recipes.{name_or_file}")
    return module.RECIPE, (module.__doc__ or "").strip()


def existing_file(name: str) -> Path:
    """The path of a user's recipe file. Raises UserError if it is not there."""
    path = Path(name).expanduser()
    if not path.is_file():
        raise UserError(f"no recipe file {path}; give the path of a Python file with RECIPE = Recipe(...)")
    return path


def _load_file(path: Path) -> tuple[Recipe, str]:
    existing_file(str(path))
    if UserCode.root != path.parent.resolve():
        raise UserError(f"{path} is not in the campaign's own folder of code")
    try:
        module = UserCode.module(path.stem)
    except RoundhouseError:
        raise
    except Exception as error:  # the user's file may raise anything; say which file and what
        said = " ".join(str(error).partition(" [type=")[0].split())  # pydantic's go over several lines
        raise UserError(f"{path} cannot be imported: {type(error).__name__}: {said}") from error
    found = getattr(module, "RECIPE", None)
    if not isinstance(found, Recipe):
        raise UserError(f"{path} has no RECIPE = Recipe(...); add one")
    return found, (module.__doc__ or "").strip()


def override(recipe: Recipe, settings: dict[str, str]) -> Recipe:
    """The recipe with settings changed by dotted path: `phases.0.sampler.n=16`, or `sampler.n=16` where one place fits.

    In a phase with stages in full, `sampler` is its one stage that samples: `phases.0.stages.0.run.0.n=16`. Values are JSON,
    or taken as text where they do not parse. Raises UnknownName with the near miss.
    """
    values = recipe.dump()
    for path, text in settings.items():
        _set(values, path, parsed(text))
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        for path in settings:  # said in the words that were typed
            where = re.sub(rf"^{re.escape(_full(values, path))}(?![^.])", path, where)
        raise UserError(f"setting {where}: {first['msg']}; got {first.get('input')!r}") from None


def parsed(text: str) -> Any:
    """A setting's value as it was typed: JSON, or the text itself where it does not parse."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def places(values: dict[str, Any], slot: str) -> list[str]:
    """The full paths that a phase's field stands for: in a phase with stages in full, those of the stages with its verb."""
    found = []
    for i, phase in enumerate(values["phases"]):
        if slot in SLOTS and phase["stages"]:
            verb, rest = SLOTS[slot]
            found += [f"phases.{i}.stages.{j}.{rest}" for j, stage in enumerate(phase["stages"]) if stage["verb"] == verb]
        elif phase.get(slot):
            found.append(f"phases.{i}.{slot}")
    return found


def _set(values: dict[str, Any], path: str, value: Any) -> None:
    parts = _full(values, path).split(".")
    here: Any = values
    for part in parts[:-1]:
        here = _step(here, part, path)
    _step(here, parts[-1], path)
    here[int(parts[-1]) if isinstance(here, list) else parts[-1]] = value


def _full(values: dict[str, Any], path: str) -> str:
    """A path that begins with a phase's field, written from `phases` on."""
    slot, _, rest = path.partition(".")
    if slot in Recipe.model_fields:
        return path
    if slot not in Phase.model_fields:
        raise UnknownName("setting", slot, [*Recipe.model_fields, *Phase.model_fields], "at the start of a path")
    found = places(values, slot)
    if not found and not rest:  # an empty slot can be filled as a whole
        found = [f"phases.{i}.{slot}" for i, phase in enumerate(values["phases"]) if not phase["stages"]]
    ways = [f"{place}.{rest}" if rest else place for place in found]
    if not ways:
        raise UserError(f"'{path}': no phase of this recipe has {slot}")
    if len(ways) > 1:
        raise UserError(f"'{path}' fits {len(ways)} places; say which: {' or '.join(ways)}")
    return ways[0]


def _step(here: Any, part: str, path: str) -> Any:
    if isinstance(here, list):
        if not part.isdigit() or int(part) >= len(here):
            raise UnknownName("position", part, [str(i) for i in range(len(here))], f"in '{path}'")
        return here[int(part)]
    if not isinstance(here, dict) or part not in here:
        raise UnknownName("setting", part, here if isinstance(here, dict) else (), f"in '{path}'")
    return here[part]
