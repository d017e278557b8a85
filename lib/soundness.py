"""What can be known of a recipe before any work is done: what it could not finish with is refused while that is cheap."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lib import recipe as recipes
from lib.casting import MEASURED, Part, nested, parts
from lib.errors import BadModel, UnknownName, UserError
from lib.evaluators.by_difficulty import ByDifficulty
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe, Stage
from lib.roles import POLICY, judged_roles, measured_role
from lib.strategy import Strategy

FIXED = ("base", "previous", "champion")
"""References that every round knows."""

FORMS = (*FIXED, "round:N", "phase:NAME", "external:PATH")

STILL = ("base", "round:N", "external:PATH", MEASURED)
"""References that an evaluator's verifiers may have: the same ruler for every model, or the model that is measured."""


def refuse_unsound(recipe: Recipe, replayable: frozenset[str]) -> None:
    """Raise UserError for a recipe that nothing evaluates, whose gate could read no metric, that names models or examples
    (`replayable`: references whose examples are known) that cannot exist, or engines that no role uses."""
    if not recipe.evaluators:
        raise UserError("the recipe has no evaluators, so nothing would measure its models; give it one: evaluators=(PassAtK(),)")
    _refuse_unmeasured(recipe)
    trained: set[str] = set()
    for path, phase, stage in _train_stages(recipe):
        for name in ("start_from", "reference"):
            reference = getattr(stage.run[0], name, None)
            if isinstance(reference, str):
                _refuse_reference(reference, f"{path}.{name}", trained)
        _refuse_replay(getattr(stage.run[0], "replay", ()), path, replayable)
        trained.add(phase.name)
    _refuse_casting(recipe)


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
        known = [_metrics(evaluator) for evaluator in recipe.evaluators if measured_role(evaluator) == role]
        whose = "of the evaluators for the gate" if role == POLICY else f"of the evaluators of role '{role}' for the gate"
        for metric in (recipe.gate.metric, *(name for name, _ in recipe.gate.must_not_regress)):
            makers = [names for names in known if names is not None and metric in names]
            if not makers and None not in known:
                raise UnknownName("metric", metric, {name for names in known if names for name in names}, whose)
            if len(makers) > 1:
                raise UserError(f"the gate reads '{metric}', and {len(makers)} evaluators measure it; leave it to one of them")


def _metrics(evaluator: Any) -> set[str] | None:
    """The metrics with a value per problem that an evaluator writes; None where that cannot be known."""
    if isinstance(evaluator, PassAtK):
        return {*(f"pass_at_{k}" for k in evaluator.k), "distinct_correct"}
    if isinstance(evaluator, GreedyAccuracy):
        return {"greedy_accuracy"}
    return set() if isinstance(evaluator, ByDifficulty) else None


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
        if stage.verb == "train":
            trained.add(phase.name)
            continue
        for part in parts(stage.run):
            _refuse_reference(part.model, f"the model of role '{part.role}' in stage '{stage.label}'", trained)
            roles.add(part.role)
        if stage.verb == "verify":
            names = _refuse_same_names(stage.run, f"stage '{stage.label}'")
            if stage.gold and stage.gold not in names:
                raise UnknownName("verifier", stage.gold, names, f"in stage '{stage.label}' to be its gold")
    for evaluator in recipe.evaluators:
        verifiers = getattr(evaluator, "verifiers", ())
        _refuse_same_names(verifiers, type(evaluator).__name__)
        roles |= {part.role for part in parts([evaluator])}
        for part in parts(verifiers):
            _refuse_moving(part, type(evaluator).__name__)
    for role in recipe.engines:
        if role not in roles:
            raise UnknownName("role", role, roles, "in this recipe that could use an engine of its own")


def _refuse_moving(part: Part, evaluator: str) -> None:
    if part.model == MEASURED:
        return
    if part.model in ("previous", "champion") or part.model.startswith("phase:"):
        raise UserError(
            f"{evaluator}: the model of role '{part.role}' is '{part.model}', another in every round, so that rounds could not be "
            f"compared; give it one of {', '.join(STILL)}"
        )
    _refuse_reference(part.model, f"the model of role '{part.role}' in {evaluator}", set())


def _refuse_same_names(verifiers: Iterable[Strategy], where: str) -> list[str]:
    names = [str(name) for verifier in verifiers if (name := getattr(verifier, "name", None))]
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"{where} has {names.count(name)} verifiers named '{name}', so their verdicts could not be told apart; name one"
            )
    return names


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
    return {reference: list(roles) for reference, roles in found.items() if reference.startswith("external:")}


def _refuse_replay(replay: Any, path: str, replayable: frozenset[str]) -> None:
    for reference in replay:
        if reference not in replayable:
            why = "a model that was given brings no examples" if reference == "base" else "only the built-in base model's are known"
            raise UserError(f"the recipe replays the examples of '{reference}', and {why}; leave them out with --set '{path}.replay=[]'")
