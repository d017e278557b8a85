"""One piece of work with one content key: a stage, or one shard of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lib import keys
from lib.datafile import by_content
from lib.store import Store


@dataclass(frozen=True, slots=True)
class Label:
    """Where a job stands in a campaign, for people and logs; never part of a key."""

    campaign: str
    round: int
    phase: str
    stage: str
    attempt: int = 1
    shard: int = 0
    shards: int = 1
    part: str = ""
    """Which of the jobs of an evaluation it is: sample, verify or evaluate."""

    @property
    def stage_path(self) -> str:
        return f"{self.phase}/{self.stage}"

    def __str__(self) -> str:
        tried = f".{self.attempt}" if self.attempt > 1 else ""
        part = f" {self.shard + 1}/{self.shards}" if self.shards > 1 else ""
        inner = f" {self.part}" if self.part else ""
        return f"{self.campaign} r{self.round}{tried} {self.stage_path}{inner}{part}"


@dataclass(frozen=True, slots=True)
class Job:
    """What `lib.stages.<kind>:run` is to do. Inputs are references into the store; models are artifact digests."""

    kind: str
    label: Label
    settings: dict[str, Any]
    inputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    needs_device: bool = False
    outside: dict[str, str] = field(default_factory=dict)
    """Inputs that lie outside the store, by path or hub name; their content stands in `settings`, so no path reaches the key."""

    @property
    def makes_model(self) -> bool:
        """Whether its result is a model."""
        return self.kind in ("initialise", "adopt", "train")

    def ingredients(self, store: Store, identities: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
        """The ingredients of this job's key; `identities` has the digests of every model by artifact digest.

        Data files that the settings name stand there by their content.
        """
        contents = {name: [store.content(r) for r in refs] for name, refs in self.inputs.items() if refs}
        models = {role: identities[digest] for role, digest in self.models.items()}
        return keys.ingredients_of(self.kind, by_content(self.settings), contents, models, self.seed)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a finished stage left in the store, shard by shard, and the results that it read."""

    made: dict[str, tuple[str, ...]]
    """Table name → references, one a shard; a model stands under `model`."""
    read: tuple[Result, ...] = ()

    def closure(self) -> list[Result]:
        """This result and all it read, each once, the oldest first; not what stands behind problems that a stage made.

        What follows on such problems is about them alone, and shares their shards.
        """
        found: list[Result] = []
        for result in () if "problems" in self.made else self.read:
            found.extend(r for r in result.closure() if r not in found)
        return [*found, self]

    def every(self, table: str) -> tuple[str, ...]:
        """References of a table over the closure, each once."""
        return tuple(dict.fromkeys(ref for result in self.closure() for ref in result.made.get(table, ())))

    def nearest(self, table: str) -> tuple[Result, ...]:
        """The results with this table that stand closest: this one, or behind it where it has none."""
        if table in self.made:
            return (self,)
        return tuple(dict.fromkeys(found for result in self.read for found in result.nearest(table)))

    def shard(self, table: str, index: int) -> tuple[str, ...]:
        """References of a table that belong to one shard, over the closure."""
        found = (result.made.get(table, ()) for result in self.closure())
        return tuple(dict.fromkeys(refs[index] for refs in found if refs))
