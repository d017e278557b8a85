"""Engines kept open in a child between work items, so that a model is loaded once for all shards of a stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib import seeds
from lib.protocols import Engine, Machine
from lib.strategy import load

_open: dict[str, Engine] = {}
_LIMIT = 3


def open_engines(settings: Mapping[str, Any], models: Mapping[str, tuple[str, Path]], machine: Machine) -> dict[str, Engine]:
    """Role → engine over that role's model; at most three models stay loaded."""
    return {role: _opened(settings, model_id, folder, machine) for role, (model_id, folder) in models.items()}


def _opened(settings: Mapping[str, Any], model_id: str, folder: Path, machine: Machine) -> Engine:
    key = seeds.digest([dict(settings), model_id, machine.device, machine.micro_batch])
    if key not in _open:
        while len(_open) >= _LIMIT:
            _open.pop(next(iter(_open)))
        _open[key] = load(dict(settings)).open(folder, model_id, machine)
    return _open[key]
