"""What lineage says: a campaign began, a round was decided, a model was measured, a campaign stopped, a report was written.

An event is content: put no clock times, host names or absolute paths in one, so that a replay says the same words.
What depends on who put it and when (`NOT_IN_ID`) is left out of its id. A round that is run again and
comes out otherwise raises `revision`, so that going back to what it was before is an event too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from lib import outbox
from lib.errors import UserError

NOT_IN_ID = ("flow_run", "supersedes", "later_stand")
"""Fields that do not make an event another event."""

CAME_LATER = ("otherwise",)
"""Fields that older homes' events do not have: empty, they are left out of the id too, so that those keep theirs."""


def pointer(path: Path, home: Path) -> str:
    """A path as lineage holds it: relative to the roundhouse home, with forward slashes."""
    return path.resolve().relative_to(home.resolve()).as_posix()


def _refuse_machine_path(uri: str) -> None:
    if uri.startswith(("/", "~", "file:")):
        raise UserError(f"lineage pointer '{uri}' is a path of this machine; give it relative to the roundhouse home")


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model artifact in a role."""

    role: str
    digest: str
    """Full sha256 of its content, 64 hex digits."""
    uri: str
    """Where it is, relative to the home: `store/artifacts/ab/DIGEST`; or an s3://, gs:// or hf:// address."""

    def __post_init__(self) -> None:
        _refuse_machine_path(self.uri)


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """A table artifact that a round read or made."""

    name: str
    """Which table: `completions`, `verdicts`, `examples`, …"""
    context: str
    """What the round did with it: the stage, as `sample` or `train`."""
    digest: str
    """Full sha256 of its content, 64 hex digits."""
    uri: str
    rows: int
    schema: str
    """Table and version, `completions/v1`."""

    def __post_init__(self) -> None:
        _refuse_machine_path(self.uri)


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of an evaluation."""

    name: str
    slice: str
    """`all`, or NAME=VALUE."""
    value: float
    stderr: float | None
    n: int


@dataclass(frozen=True, slots=True)
class CampaignEvent:
    """A campaign begins, or goes on with other settings."""

    kind: ClassVar[str] = "campaign"
    campaign: str
    recipe: str
    recipe_digest: str
    """sha256 of the recipe's JSON."""
    seed: int
    models: tuple[ModelRef, ...]
    """The starting models, one per role."""
    settings: Mapping[str, str] = field(default_factory=dict)
    flow_run: str = ""


@dataclass(frozen=True, slots=True)
class RoundEvent:
    """A round was decided: what it read, what came out, and what the gate said."""

    kind: ClassVar[str] = "round"
    campaign: str
    round: int
    """1 is the first; 0 stands for the starting models."""
    attempt: int
    datasets: tuple[DatasetRef, ...]
    models_in: tuple[ModelRef, ...]
    models_out: tuple[ModelRef, ...]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    """`stage/name`: rows kept, dropped by reason, loss."""
    accepted: bool
    reason: str
    """The gate's sentence."""
    flow_run: str = ""
    supersedes: str | None = None
    """The event id of the round that this one is a rerun of."""
    revision: int = 0
    """How often the campaign's past had been changed by reruns when this was decided."""
    later_stand: bool = False
    """A rerun that came to the same models: later rounds stand on them, and the aliases are theirs."""
    otherwise: Mapping[str, str] = field(default_factory=dict)
    """Role → the gate's sentence, of roles that it decided otherwise than the round."""

    def promotes(self, role: str) -> bool:
        """Whether the model made for a role became its champion."""
        return self.accepted != (role in self.otherwise)

    @property
    def decision(self) -> str:
        return "accepted" if self.accepted else "rejected"


@dataclass(frozen=True, slots=True)
class EvaluateEvent:
    """A model was measured on a split. Put it after the event of its round, whose child it becomes."""

    kind: ClassVar[str] = "evaluate"
    campaign: str
    round: int
    attempt: int
    model: ModelRef
    split: str
    measures: tuple[Measure, ...]
    flow_run: str = ""
    revision: int = 0
    """That of its round."""
    datasets: tuple[DatasetRef, ...] = ()
    """The split's problems, and the completions, verdicts and metrics of the measurement."""


@dataclass(frozen=True, slots=True)
class FinalEvent:
    """A campaign stopped after its last round so far."""

    kind: ClassVar[str] = "final"
    campaign: str
    rounds: int
    reason: str
    """The stop rule's sentence."""
    flow_run: str = ""


@dataclass(frozen=True, slots=True)
class ForgetEvent:
    """A problem or completion was forgotten that models of a campaign had learned from."""

    kind: ClassVar[str] = "forget"
    campaign: str
    what: str
    """problem or completion."""
    id: str
    models: tuple[ModelRef, ...]
    """Those that learned from it, and those that were trained from these."""


@dataclass(frozen=True, slots=True)
class ReportEvent:
    """A campaign's report was written; the page itself is taken to MLflow when this is published."""

    kind: ClassVar[str] = "report"
    campaign: str
    digest: str
    """sha256 of the page."""
    uri: str
    """Where it is, relative to the home."""
    flow_run: str = ""

    def __post_init__(self) -> None:
        _refuse_machine_path(self.uri)


Event = CampaignEvent | RoundEvent | EvaluateEvent | FinalEvent | ForgetEvent | ReportEvent


def put(folder: Path, event: Event) -> str:
    """Queue an event in an outbox and return its id."""
    return outbox.put(folder, body := _body(event), ignoring=_ignored(body))


def identity(event: Event) -> str:
    """The id that `put` would return."""
    return outbox.event_id(body := _body(event), _ignored(body))


def title(event: Mapping[str, Any]) -> str:
    """What a queued event is about, in words; one of a kind that is not known has its kind for a title."""
    whole = f"{event.get('campaign')}"
    kind = event.get("kind")
    if kind == CampaignEvent.kind:
        return f"the beginning of {whole}"
    if kind == FinalEvent.kind:
        return f"the end of {whole} after round {event.get('rounds')}"
    if kind == ReportEvent.kind:
        return f"the report of {whole}"
    if kind == ForgetEvent.kind:
        return f"what models of {whole} had learned of {event.get('what')} {event.get('id')}"
    if kind not in (RoundEvent.kind, EvaluateEvent.kind):
        return f"'{kind}' of {whole}"
    here = f"{round_title(event.get('round', 0), event.get('attempt', 1), event.get('revision', 0))} of {whole}"
    return here if kind == RoundEvent.kind else f"{here} on {event.get('split')}"


def round_title(number: int, attempt: int, revision: int) -> str:
    """A round as a person calls it: the first attempt and what no rerun changed go without saying."""
    words = f"round {number}" + (f" attempt {attempt}" if attempt > 1 else "")
    return words + (f" revision {revision}" if revision else "")


def _ignored(body: Mapping[str, Any]) -> tuple[str, ...]:
    return (*NOT_IN_ID, *(name for name in CAME_LATER if not body.get(name)))


def _body(event: Event) -> dict[str, Any]:
    return {"kind": event.kind, **_plain(asdict(event))}


def from_json(body: Mapping[str, Any]) -> Event:
    """The event that `put` queued. Raises UserError for a kind that this version does not know."""
    kind = str(body.get("kind"))
    kinds = (CampaignEvent, RoundEvent, EvaluateEvent, FinalEvent, ForgetEvent, ReportEvent)
    makers: dict[str, Callable[..., Event]] = {cls.kind: cls for cls in kinds}
    if kind not in makers:
        raise UserError(f"the outbox holds an event of kind '{kind}', which this roundhouse does not know; upgrade it")
    try:
        read = {name: _READERS[name](value) if name in _READERS else value for name, value in body.items() if name != "kind"}
        return makers[kind](**read)
    except (TypeError, KeyError):  # a field more or less than this version's
        raise UserError(f"the outbox holds an event of kind '{kind}' with other fields than this roundhouse knows; upgrade it") from None


def _plain(value: Any) -> Any:
    """JSON has no nan and no infinity, and a diverged loss is worth recording: they travel as text."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _models(rows: list[dict[str, Any]]) -> tuple[ModelRef, ...]:
    return tuple(ModelRef(**row) for row in rows)


def _measure(row: dict[str, Any]) -> Measure:
    stderr = row["stderr"]
    return Measure(row["name"], row["slice"], float(row["value"]), None if stderr is None else float(stderr), row["n"])


_READERS: dict[str, Callable[[Any], Any]] = {
    "model": lambda row: ModelRef(**row),
    "models": _models,
    "models_in": _models,
    "models_out": _models,
    "datasets": lambda rows: tuple(DatasetRef(**row) for row in rows),
    "measures": lambda rows: tuple(_measure(row) for row in rows),
    "metrics": lambda figures: {name: float(value) for name, value in figures.items()},
}
"""Field → how its JSON becomes the value again; fields not named here are plain."""
