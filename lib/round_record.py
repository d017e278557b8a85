"""What one attempt at a round did: campaigns/NAME/round-NNN/round.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from lib.errors import UserError
from lib.files import read_json
from lib.roles import POLICY, judged_roles
from lib.strategy import Strategy


@dataclass(slots=True)
class RoundRecord:
    """What one attempt at a round did; written after every stage."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    campaign: str
    round: int
    attempt: int
    state: str = "running"  # running, accepted, rejected
    start: dict[str, str] = field(default_factory=dict)
    """Role → the model that the round's `previous` was."""
    besides: dict[str, dict[str, str]] = field(default_factory=dict)
    """`latest` and `round:N`, where its recipe names them → role → the model that this was."""
    inherited: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Stage of the round before → table → references: the states and tables that its controllers were given."""
    made: dict[str, str] = field(default_factory=dict)
    """Role → the model that the round made."""
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Stage path → verb, jobs (label, key, version, digest, reused), made and read references."""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    decision: dict[str, Any] | None = None
    """The gate's word on the policy."""
    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Role → the gate's word on its model, of the other roles that the round trained and an evaluator measures."""
    alarms: list[dict[str, Any]] = field(default_factory=list)
    """The readings of lib.alarms: alarm, value, level, sentence, and where its levels begin."""
    flow_run: str = ""
    root_flow_run: str = ""
    """The flow run that this round was begun under, which one that is retried counts its rounds by; a rerun keeps it."""
    overrides: dict[str, str] = field(default_factory=dict)
    """Settings of the recipe that a rerun changed for this round, by dotted path, as they were typed."""
    event: str = ""
    """Id of the round's event in the lineage."""
    supersedes: str = ""
    """Event id of the round that this one is a rerun of."""
    revision: int = 0
    """How often reruns had changed the campaign's past when this round was decided."""
    seconds: float = 0.0

    def judged(self, evaluators: Iterable[Strategy]) -> dict[str, str]:
        """Role → the model that the round measures and decides upon, the policy first."""
        models = {**self.start, **self.made}
        return {role: models[role] for role in judged_roles(evaluators, self.made)}

    def decide(self, decisions: Mapping[str, dict[str, Any]]) -> None:
        """Take in the gate's word on each role. The round is called what its policy is; without one trained, what all others are."""
        self.decision = decisions[POLICY]
        self.decisions = {role: decision for role, decision in decisions.items() if role != POLICY}
        alone = POLICY in self.made or not self.decisions
        accepted = self.decision["accepted"] if alone else all(decision["accepted"] for decision in self.decisions.values())
        self.state = "accepted" if accepted else "rejected"

    def accepts(self, role: str) -> bool:
        """Whether the model that the round made for a role became its champion; one that nothing measures goes with the round."""
        found = self.decisions.get(role)
        return self.state == "accepted" if found is None else bool(found["accepted"])

    @property
    def promoted(self) -> dict[str, str]:
        """Role → the model that the round made champion of it."""
        return {role: model for role, model in self.made.items() if self.accepts(role)}


def read_round(path: Path) -> RoundRecord:
    """The record in a file. Raises UserError, naming the file, for one that is damaged or that a newer roundhouse wrote."""
    return _checked(path, _ROUND)


def read_figures(path: Path) -> list[dict[str, Any]]:
    """The rows of a campaign's test.json. Raises UserError, naming the file, for one that holds anything else."""
    return _checked(path, _FIGURES)


def _checked(path: Path, adapter: TypeAdapter[Any]) -> Any:
    try:
        return adapter.validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        if first["type"] == "unexpected_keyword_argument":
            raise UserError(f"{path} has '{where}', which this roundhouse does not know; use a newer one") from None
        raise UserError(f"{path} is damaged ({where}: {first['msg']}); restore it, or move it away") from None


_ROUND, _FIGURES = TypeAdapter(RoundRecord), TypeAdapter(list[dict[str, Any]])
