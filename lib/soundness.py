"""What can be known of a recipe before any work is done: what it could not finish with is refused while that is cheap."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lib import recipe as recipes
from lib.casting import MEASURED, USUAL, Part, nested, parts, within
from lib.deciding import Stop
from lib.errors import BadModel, UnknownName, UserError
from lib.probing import probes
from lib.recipe import Phase, Recipe, Stage
from lib.roles import POLICY, judged_roles, judges_of, measured_role
from lib.steering import steered
from lib.strategy import Strategy

FIXED = ("base", "previous", "champion", "latest")
"""References that every round knows."""

FORMS = (*FIXED, "round:N", "phase:NAME", "external:PATH")
"""All that a phase can name; `round:N` is the base model until round N has ended."""

STILL = ("base", "external:PATH", MEASURED)
"""References that an evaluator's verifiers may have: the same ruler for every model, or the model that is measured."""


def refuse_unsound(recipe: Recipe, replayable: frozenset[str]) -> None:
    """Raise UserError for a recipe that nothing evaluates, whose gate could read no metric, that names models or examples
    (`replayable`: references whose examples are known) that cannot exist, or engines that no role uses."""
    if not recipe.evaluators:
        raise UserError("the recipe has no evaluators, so nothing would measure its models; give it one: evaluators=(PassAtK(),)")
    _refuse_unmeasured(recipe)
    _refuse_misread(recipe)
    trained: set[str] = set()
    for path, phase, stage in _train_stages(recipe):
        for name in ("start_from", "reference"):
            reference = getattr(stage.run[0], name, None)
            if isinstance(reference, str):
                _refuse_reference(reference, f"{path}.{name}", trained)
        _refuse_replay(getattr(stage.run[0], "replay", ()), path, replayable)
        _refuse_memory(stage, path)
        trained.add(phase.name)
    _refuse_casting(recipe)
    _refuse_steering(recipe)


def _train_stages(recipe: Recipe) -> Iterator[tuple[str, Phase, Stage]]:
    """Every train stage with the shortest path by which `--set` reaches its trainer."""
    stages = [(phase, stage) for phase, stage in recipe.stages() if stage.verb == "train"]
    paths = recipes.places(recipe.dump(), "trainer")
    for path, (phase, stage) in zip(["trainer"] if len(paths) == 1 else paths, stages, strict=True):
        yield path, phase, stage


def _refuse_unmeasured(recipe: Recipe) -> None:
    if recipe.gate is None:
        return
    for role in judged_roles(recipe.evaluators, {phase.role for phase in recipe.phases if any(s.verb == "train" for s in phase.pipeline)}):
        known = [getattr(evaluator, "metrics", None) for evaluator in recipe.evaluators if measured_role(evaluator) == role]
        whose = "of the evaluators for the gate" if role == POLICY else f"of the evaluators of role '{role}' for the gate"
        for metric in (recipe.gate.metric, *(name for name, _ in recipe.gate.must_not_regress)):
            makers = [names for names in known if names is not None and metric in names]
            if not makers and None not in known:
                raise UnknownName("metric", metric, {name for names in known if names for name in names}, whose)
            if len(makers) > 1:
                raise UserError(f"the gate reads '{metric}', and {len(makers)} evaluators measure it; leave it to one of them, or name one")


def _refuse_misread(recipe: Recipe) -> None:
    """Phases of one name, stages that read what does not run before them, and what later rounds would ask of the first alone."""
    names = [phase.name for phase in recipe.phases]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{names.count(name)} phases are named '{name}', so their stages could not be told apart; name one")
    seen: set[str] = set()
    for phase, stage in recipe.stages():
        for path in (path for path in stage.reads if "/" in path and path not in seen):
            raise UnknownName("stage", path, seen, f"before '{phase.name}/{stage.label}' to read")
        seen.add(f"{phase.name}/{stage.label}")
    for phase, stage in recipe.stages(2):
        settings = [getattr(one, name, "") for one in nested(stage.run) for name in ("start_from", "reference", "model")]
        for asked in (*stage.reads, *(str(value).removeprefix("phase:") for value in settings if str(value).startswith("phase:"))):
            if asked.partition("/")[0] in {first.name for first in recipe.phases if first.first_round_only}:
                raise UserError(
                    f"stage '{phase.name}/{stage.label}' of every round asks for '{asked}', which is there in the first round alone; "
                    "ask for another, or leave first_round_only out"
                )


def _refuse_memory(stage: Stage, path: str) -> None:
    """An online trainer learns what it samples, so that a stage that gives it more would be misunderstood."""
    if getattr(stage.run[0], "online", False) and (stage.accumulate != "no" or stage.keep_rows is not None):
        raise UserError(f"{path} samples what it learns in its training, and takes no examples besides; leave accumulate and keep_rows out")


def _refuse_reference(reference: str, setting: str, trained: set[str]) -> None:
    kind, _, name = reference.partition(":")
    if reference in FIXED or re.fullmatch(r"round:[1-9][0-9]*", reference):
        return
    if kind == "phase" and name:
        if name not in trained:
            raise UnknownName("phase", name, trained, f"that trains before {setting}={reference} is read")
    elif kind == "external" and name:
        if not Path(name).expanduser().is_dir():
            raise BadModel(f"{setting}={reference}: no model folder '{name}'; give a folder written by save_pretrained")
    else:
        raise UnknownName("model reference", reference, FORMS, f"for {setting}")


def _refuse_casting(recipe: Recipe) -> None:
    """What strategies that sample or verify say of models: references that exist, names apart, engines for roles there are."""
    trained: set[str] = set()
    roles = {"policy"}
    for phase, stage in recipe.stages():
        _refuse_looking_back((inner for one in stage.run for inner in nested(within(one))), f"stage '{stage.label}'")
        for part in parts(stage.run):
            _refuse_reference(part.model, f"the model of role '{part.role}' in stage '{stage.label}'", trained)
            _refuse_unplayed(part, f"stage '{stage.label}'", recipe)
            roles.add(part.role)
        if stage.verb == "train":
            trained.add(phase.name)
        if stage.verb == "verify":
            names = _refuse_same_names(stage.run, f"stage '{stage.label}'")
            if stage.gold and stage.gold not in names:
                raise UnknownName("verifier", stage.gold, names, f"in stage '{stage.label}' to be its gold")
    for evaluator in recipe.evaluators:
        verifiers = judges_of(evaluator)
        _refuse_same_names(verifiers, type(evaluator).__name__)
        _refuse_looking_back(nested([evaluator]), type(evaluator).__name__)
        _refuse_other_model(evaluator)
        roles |= {part.role for part in parts([evaluator])}
        for part in parts(verifiers):
            _refuse_moving(part.model, f"the model of role '{part.role}'", type(evaluator).__name__)
            _refuse_unplayed(part, type(evaluator).__name__, recipe)
        if against := getattr(evaluator, "against", ""):
            _refuse_moving(against, "`against`", type(evaluator).__name__)
    for role in recipe.engines:
        if role not in roles:
            raise UnknownName("role", role, roles, "in this recipe that could use an engine of its own")


def _refuse_looking_back(inner: Iterable[Strategy], where: str) -> None:
    """What rests on verdicts of before is given them as a verifier of a verify stage, and within anything else it never is."""
    for strategy in inner:
        if getattr(strategy, "looks_back", False):
            name = type(strategy).__name__
            raise UserError(
                f"{where}: {name} looks back on completions and verdicts that only a verify stage reads; leave it out here, or make "
                f"it one of the verifiers of a stage: Stage(verb='verify', run=({name}(),))"
            )


def _refuse_unplayed(part: Part, where: str, recipe: Recipe) -> None:
    """A role that no phase trains has no model of a round."""
    if part.role not in (POLICY, *recipe.trained_roles) and part.model != MEASURED and not part.model.startswith("external:"):
        raise UserError(
            f"{where} asks for the model '{part.model}' of role '{part.role}', and no phase trains one; give it model='external:PATH'"
        )


def _refuse_other_model(evaluator: Strategy) -> None:
    """A model is measured by what it writes itself, so an evaluator's sampler names no other."""
    named = getattr(getattr(evaluator, "sampler", None), "model", USUAL)
    if named != USUAL:
        raise UserError(
            f"{type(evaluator).__name__}: its sampler draws from '{named}', not from the model that is measured; leave model out"
        )


def _refuse_moving(reference: str, what: str, evaluator: str) -> None:
    if reference == MEASURED:
        return
    if reference in ("previous", "champion", "latest") or reference.startswith("phase:"):
        raise UserError(
            f"{evaluator}: {what} is '{reference}', another in every round, so that rounds could not be "
            f"compared; give it one of {', '.join(STILL)}"
        )
    if reference.startswith("round:"):
        raise UserError(
            f"{evaluator}: {what} is '{reference}', which is not there when the base model is measured; give it one of {', '.join(STILL)}"
        )
    _refuse_reference(reference, f"{what} in {evaluator}", set())


def _refuse_same_names(verifiers: Iterable[Strategy], where: str) -> list[str]:
    names = [str(name) for verifier in verifiers if (name := getattr(verifier, "name", None))]
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"{where} has {names.count(name)} verifiers named '{name}', so their verdicts could not be told apart; name one"
            )
    return names


def _refuse_steering(recipe: Recipe) -> None:
    """Controllers that probe under settings, or decide on some, which their phase has not, or that read stages there are not;
    and a rule for stopping that is none."""
    if recipe.stop is not None and not isinstance(recipe.stop, Stop):
        raise UserError(f"{type(recipe.stop).__name__} cannot stop a campaign; give a strategy such as lib.controllers.plateau:Plateau")
    paths = [f"{phase.name}/{stage.label}" for phase, stage in recipe.stages(2)]  # in the first, nothing is before it
    for phase in recipe.phases:
        for name, controller in phase.deciders.items():
            for settings in (*probes(controller), *getattr(controller, "decides", ())):
                steered(phase, settings, name)
            for path in getattr(controller, "reads", ()):
                if path not in paths:
                    raise UnknownName("stage", path, paths, f"for controller '{name}' to read")


def external_models(recipe: Recipe) -> dict[str, list[str]]:
    """Every `external:PATH` of the recipe → the roles that its model plays."""
    found: dict[str, dict[str, None]] = {}
    for phase, stage in recipe.stages():
        for strategy in stage.run:
            for reference in (getattr(strategy, name, None) for name in ("start_from", "reference")):
                found.setdefault(str(reference), {})[phase.role] = None
    for strategy in nested([*(s for _, stage in recipe.stages() for s in stage.run), *recipe.evaluators]):
        if getattr(strategy, "role", ""):
            found.setdefault(str(getattr(strategy, "model", "")), {})[str(getattr(strategy, "role", ""))] = None
    for evaluator in recipe.evaluators:
        found.setdefault(str(getattr(evaluator, "against", "")), {})[measured_role(evaluator)] = None
    return {reference: list(roles) for reference, roles in found.items() if reference.startswith("external:")}


def _refuse_replay(replay: Any, path: str, replayable: frozenset[str]) -> None:
    for reference in replay:
        if reference not in replayable:
            why = "a model that was given brings no examples" if reference == "base" else "only the built-in base model's are known"
            raise UserError(f"the recipe replays the examples of '{reference}', and {why}; leave them out with --set '{path}.replay=[]'")
