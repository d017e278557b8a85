"""What a controller is given and what it answers, and how its answer stands in a table.

A controller decides, before the stages of its phase run, on settings of the phase or on which problems it works at. It is a
pure function of tables. What it decided is an artifact: rows of records.STATE, and the problems that it chose beside them.
A setting that was decided stands there as `set.PATH`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from lib import records
from lib.errors import UserError
from lib.protocols import Tables

SET = "set."
"""What the key of a decided setting begins with."""

Settings = Mapping[str, Any]
"""Dotted path within a phase, such as `sampler.temperature` → value."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a controller decides by."""

    problems: pa.Table
    """Those of the round."""
    probes: tuple[Tables, ...] = ()
    """What each of its probes left, in their order: the problems probed, their completions and verdicts."""
    before: Mapping[str, Mapping[str, pa.Table]] = field(default_factory=dict)
    """Stage that it reads → table → its rows in the last finished attempt at a round; nothing in the first."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """Its own state of that attempt."""
    round: int = 1
    rounds: int = 1
    """How many were planned when the campaign began."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Decided:
    """What a controller answers."""

    state: Mapping[str, Any]
    """JSON values; it is given them again in the next round."""
    settings: Settings = field(default_factory=dict)
    problems: Sequence[str] | None = None
    """The ids of those that the phase works at; None leaves it all."""


@runtime_checkable
class Controller(Protocol):
    """Decides on a phase before its stages run.

    One that needs samples first has `probes`: for each, the settings under which the phase's own first samplers and
    verifiers run, on `probe_problems` of its problems (None: all). One that looks back names stages in `reads`, as
    PHASE/NAME, and tables of theirs in `needs`. One that can tell beforehand which settings it decides has `decides`:
    settings such as it might decide.
    """

    def decide(self, seen: Seen) -> Decided: ...


@dataclass(frozen=True, slots=True)
class Past:
    """A finished attempt at a round, as a rule for stopping sees it; round 0 is the base model."""

    round: int
    accepted: bool
    items: pa.Table
    """Rows of records.METRIC_ITEMS: its policy on the validation split."""
    alarms: Sequence[Mapping[str, Any]] = ()
    """The readings of lib.alarms."""


@runtime_checkable
class Stop(Protocol):
    """Says whether a campaign has learned enough, from its rounds in order: why it stops, or nothing."""

    def stop(self, past: Sequence[Past], seed: int) -> str: ...


def named(controllers: Iterable[Any]) -> dict[str, Any]:
    """Name → controller, in order: its class as a file would be named, numbered from the second of a kind on.

    Raises UserError for a strategy that cannot decide.
    """
    found: dict[str, Any] = {}
    for controller in controllers:
        if not isinstance(controller, Controller):
            raise UserError(f"{type(controller).__name__} cannot decide; give a strategy of lib/controllers")
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(controller).__name__).lower()
        same = sum(type(other) is type(controller) for other in found.values())
        found[f"{name}_{same + 1}" if same else name] = controller
    return found


def rows_of(name: str, decided: Decided) -> pa.Table:
    """A decision as rows of records.STATE."""
    if taken := next((key for key in decided.state if key.startswith(SET)), None):
        raise UserError(f"controller '{name}': a key of its state begins with '{SET}' ({taken}), which means a setting; rename it")
    values = {**{f"{SET}{path}": value for path, value in decided.settings.items()}, **decided.state}
    found: list[dict[str, object]] = [{"controller": name, "key": key, "value": json.dumps(value)} for key, value in values.items()]
    return records.STATE.table(found)


def state_of(rows: pa.Table) -> dict[str, Any]:
    """The state in rows of records.STATE."""
    return {key: json.loads(value) for key, value in _pairs(rows) if not key.startswith(SET)}


def settings_of(rows: pa.Table) -> dict[str, Any]:
    """The settings decided in rows of records.STATE."""
    return {key.removeprefix(SET): json.loads(value) for key, value in _pairs(rows) if key.startswith(SET)}


def _pairs(rows: pa.Table) -> list[tuple[str, str]]:
    return list(zip(rows["key"].to_pylist(), rows["value"].to_pylist(), strict=True))
