"""What is fixed about a campaign when it is made: campaigns/NAME/campaign.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ProblemPlan:
    """Which problems a campaign uses: a source's settings and how many of each split."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    source: dict[str, Any]
    counts: dict[str, int]
    seed: int = 0
    exclude: tuple[str, ...] = ()
    """References to problems that the base model was trained on; no round draws them again."""
    fresh: bool = True
    """Whether each round trains on the next problems of the split, or all on the same."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is fixed about a campaign when it is made."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    recipe_name: str
    recipe: dict[str, Any]
    seed: int
    problems: ProblemPlan
    base: dict[str, str]
    """Role → model digest of the starting models."""
    replay: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Reference → the examples that its model was trained on before this campaign."""
    external: dict[str, dict[str, str]] = field(default_factory=dict)
    """`external:PATH` → role → model digest."""
    rounds: int = 3
    attempts: int = 1
    """How often a round that the gate rejected is tried before the campaign goes on."""
    opening: dict[str, Any] = field(default_factory=dict)
    """What was asked for when it began (lib.opened), so that the same command can be told from another."""
    format: int = FORMAT
