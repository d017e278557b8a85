"""What one attempt at a round did: campaigns/NAME/round-NNN/round.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class RoundRecord:
    """What one attempt at a round did; written after every stage."""

    campaign: str
    round: int
    attempt: int
    state: str = "running"  # running, accepted, rejected
    start: dict[str, str] = field(default_factory=dict)
    """Role → the model that the round's `previous` was."""
    made: dict[str, str] = field(default_factory=dict)
    """Role → the model that the round made."""
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Stage path → verb, jobs (label, key, version, digest, reused), made and read references."""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    decision: dict[str, Any] | None = None
    flow_run: str = ""
    event: str = ""
    """Id of the round's event in the lineage."""
    supersedes: str = ""
    """Event id of the round that this one is a rerun of."""
    revision: int = 0
    """How often reruns had changed the campaign's past when this round was decided."""
    seconds: float = 0.0
