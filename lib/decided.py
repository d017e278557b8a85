"""What controllers decided in a round, from its record and their artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib import deciding, tables
from lib.artifacts import Artifacts
from lib.errors import DamagedArtifact
from lib.records import STATE
from lib.round_record import RoundRecord

Json = dict[str, Any]


def decisions(record: RoundRecord, artifacts: Artifacts) -> list[Json]:
    """For each controller of an attempt, in order: its stage, the settings that it decided, how many problems it chose, its state.

    `problems` is None where it chose none; all three are where its artifact is damaged or not there any more.
    """
    return [
        {"controller": path, **_decided(stage["made"], artifacts)}
        for path, stage in record.stages.items()
        if stage["verb"] == "control" and stage["made"].get("state")
    ]


def _decided(made: Mapping[str, list[str]], artifacts: Artifacts) -> Json:
    try:
        rows = tables.read(artifacts.folder(made["state"][0]) / "state.parquet", STATE)
    except DamagedArtifact:
        return dict.fromkeys(("settings", "problems", "state"))
    chosen = [tables.rows_in(artifacts.folder(reference)).get("problems", 0) for reference in made.get("problems", ())]
    return {"settings": deciding.settings_of(rows), "problems": sum(chosen) if chosen else None, "state": deciding.state_of(rows)}


def figures(decision: Mapping[str, Any]) -> dict[str, str]:
    """What was decided, each by its name: settings first, then `problems`, then the state, its mappings one by one: `value[+]`."""
    if decision["settings"] is None:
        return {}
    chosen = {} if decision["problems"] is None else {"problems": decision["problems"]}
    found: dict[str, str] = {}
    for name, value in [*decision["settings"].items(), *chosen.items(), *decision["state"].items()]:
        parts = {f"{name}[{key}]": part for key, part in value.items()} if isinstance(value, Mapping) else {name: value}
        found |= {key: _spoken(part) for key, part in parts.items() if key not in found}
    return found


def _spoken(value: Any) -> str:
    """A JSON value, a number to four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_spoken, value))
    return str(value)
