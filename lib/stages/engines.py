"""Engines kept open in a child between work items, so that a model is loaded once for all shards of a stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib import seeds
from lib.casting import role_of
from lib.engine_kinds import Keeping
from lib.protocols import Engine, Machine
from lib.strategy import load

_open: dict[str, Engine] = {}
_LIMIT = 3


def open_engines(settings: Mapping[str, Any], models: Mapping[str, tuple[str, Path]], machine: Machine) -> dict[str, Engine]:
    """Part → engine over that part's model: the role's own of `settings["engines"]`, or else `settings["engine"]`.

    At most three models stay loaded beyond the stage's own.
    """
    own = settings.get("engines", {})
    wanted = {part: _key(own.get(role_of(part), settings.get("engine")), model_id, machine) for part, (model_id, _) in models.items()}
    for part, (model_id, folder) in models.items():
        if wanted[part] not in _open:
            _make_room(set(wanted.values()))
            _open[wanted[part]] = load(own.get(role_of(part), settings.get("engine"))).open(folder, model_id, machine)
    found = {part: _open[key] for part, key in wanted.items()}
    for engine in found.values():
        if isinstance(engine, Keeping):
            engine.keep_in(machine.scratch)
    return found


def reading(settings: Mapping[str, Any], models: Mapping[str, tuple[str, Path]]) -> dict[str, Any]:
    """Part → its engine's settings, for the parts whose engine reads their model folder."""
    own = settings.get("engines", {})
    engines = {part: load(own.get(role_of(part), settings.get("engine"))) for part in models}
    return {part: engine for part, engine in engines.items() if getattr(engine, "reads_model", True)}


def _key(engine: Any, model_id: str, machine: Machine) -> str:
    return seeds.digest([engine, model_id, machine.device, machine.micro_batch])


def _make_room(needed: set[str]) -> None:
    """Let go of the models that this stage does not need, the oldest first, until there is room for one more."""
    for key in [key for key in _open if key not in needed]:
        if len(_open) < _LIMIT:
            return
        _open.pop(key)
