"""What a recipe says of itself without being run: what it needs, which model it begins from, and every setting with its path.

Needs are read off its strategies. A verify stage without verifiers takes the problem set's own, which know the gold answer; a
verifier says `knows_gold`, and is no need where all that reads verdicts names another; a role that the recipe does not train is a
model that it must be given. What cannot be seen from these a strategy says itself, in a class attribute `needs`: a tuple of words
such as "judge", "tests" or "tools".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lib import recipe as recipes
from lib.casting import knows_gold, nested
from lib.memory import Memory
from lib.recipe import Phase, Recipe, Stage
from lib.roles import POLICY
from lib.strategy import Settings, Strategy
from lib.verifiers.members import member_name

GOLD = "gold answers"

_HEEDED = {**dict.fromkeys(Memory.model_fields, "train"), "undecided_limit": "verify", "gold": "verify"}
"""Field of a stage → the one verb whose stages heed it."""


class Setting(NamedTuple):
    """One setting of a recipe, as `--set path=value` takes it."""

    path: str
    value: Any
    """As JSON values."""
    doc: str
    """What it is, in the first sentence of its docstring."""


def needs(recipe: Recipe) -> list[str]:
    """What its rounds use beyond the policy and problems to solve, each once; what only measures is left out."""
    own = {POLICY, *recipe.trained_roles}
    found: list[str] = []
    for _, stage in recipe.stages():
        if (stage.verb == "verify" and not stage.run) or any(map(_takes_own, nested(stage.run))):
            found.append(GOLD)
        found += [GOLD for strategy in stage.run if knows_gold(strategy) and (stage.verb != "verify" or _counts(strategy, recipe))]
        for strategy in nested(stage.run):
            found += getattr(strategy, "needs", ())
            role = str(getattr(strategy, "role", "") or POLICY)
            if role not in own:
                found.append(role.replace("_", " "))
    return list(dict.fromkeys(found))


def _counts(verifier: Strategy, recipe: Recipe) -> bool:
    """Whether something may read its verdicts: a controller, or what names no verifier or this one."""
    of = [one for _, stage in recipe.stages() for one in nested(stage.run) if stage.verb == "filter" or hasattr(one, "verifier")]
    named = [getattr(one, "verifier", None) or member_name(verifier) for one in of]
    return not of or member_name(verifier) in named or any(phase.deciders for phase in recipe.phases)


def _takes_own(strategy: Strategy) -> bool:
    """Whether it judges by the problem set's own verifiers, for it names none."""
    setting = getattr(strategy, "takes_own_verifiers", "")
    return bool(setting) and not getattr(strategy, setting)


def begins_from(recipe: Recipe) -> list[str]:
    """What each trainer of the recipe starts from, with the built-in model's own beginning first; a line each."""
    lines = [f"the built-in model, made by the recipe {recipe.warm_start}, or the folder that --model names"]
    for phase, stage in recipe.stages():
        if stage.verb == "train":
            start = getattr(stage.run[0], "start_from", "previous")
            whose = "" if phase.role == POLICY else f" of role {phase.role}"
            lines.append(f"{phase.name}/{stage.label}: the model '{start}'{whose}")
    return lines


def settings(recipe: Recipe) -> list[Setting]:
    """Every setting, those of the phases first, each by the shortest path that fits no other."""
    values = recipe.dump()
    only = {slot: places[0] for slot in Phase.model_fields if len(places := recipes.places(values, slot)) == 1}
    found = sorted(_of(recipe, ""), key=lambda setting: not setting.path.startswith("phases."))
    return [setting._replace(path=_shortest(setting.path, only)) for setting in found]


def _shortest(path: str, only: dict[str, str]) -> str:
    for slot, place in only.items():
        if path == place or path.startswith(f"{place}."):
            return slot + path.removeprefix(place)
    return path


def _of(owner: Settings, before: str) -> Iterator[Setting]:
    """The settings of an object and of those within it, `before` in front of each path."""
    dumped = owner.model_dump(mode="json")
    for name, field in type(owner).model_fields.items():
        inner = list(_within(getattr(owner, name), f"{before}{name}"))
        if inner:
            for path, one in inner:
                yield from _of(one, f"{path}.")
        elif not _is_idle(owner, name):
            yield Setting(f"{before}{name}", dumped[name], _first_sentence(field.description or ""))


def _within(value: Any, path: str) -> Iterator[tuple[str, Settings]]:
    """The objects with settings that a setting holds, with the path of each."""
    if isinstance(value, Settings):
        yield path, value
    elif isinstance(value, dict | tuple):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(one, Settings):
                yield f"{path}.{key}", one


def _is_idle(owner: Settings, name: str) -> bool:
    """Whether setting it would do nothing good: a stage's verb, what its verb does not heed, or the other form of a phase."""
    if isinstance(owner, Stage):
        return name == "verb" or _HEEDED.get(name, owner.verb) != owner.verb
    return isinstance(owner, Phase) and name in ({*recipes.SLOTS} if owner.stages else {"stages"})


def _first_sentence(text: str) -> str:
    """The first sentence of a docstring, on one line."""
    sentence, stop, _ = " ".join(text.split()).partition(". ")
    return sentence + stop.strip()


def kinds(recipe: Recipe) -> list[tuple[str, str]]:
    """Every stage with the strategies that it runs, by name, each phase's controllers before its stages."""
    found = []
    for phase in recipe.phases:
        found += [(f"{phase.name}/{label}", _kind(controller)) for label, controller in phase.deciders.items()]
        found += [(f"{phase.name}/{stage.label}", ", ".join(map(_kind, stage.run))) for stage in phase.pipeline]
    return found


def _kind(strategy: Strategy) -> str:
    return type(strategy).__name__
