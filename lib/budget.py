"""What a campaign's work has cost, and how much it may.

Every job leaves its cost beside its result, outside every digest, and adds it to campaigns/NAME/spent.jsonl of the campaign
that it was really done for: a result that is reused costs nothing. A budget is looked at before each job and never during
one, so that the last shard may overshoot it. Not counted: tries that were killed or ran out of memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib.errors import BudgetSpent
from lib.job import Job
from lib.round_record import RoundRecord
from lib.strategy import load_class
from lib.worker import Result

NAME = "spent.jsonl"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one job cost, or several together."""

    tokens: int = 0
    """Tokens that models wrote; worked solutions and recordings are not sampled."""
    device_seconds: float = 0.0
    """Of work on a device; waiting for it is not counted."""
    seconds: float = 0.0
    """By the clock, waiting included."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.tokens + other.tokens, self.device_seconds + other.device_seconds, self.seconds + other.seconds)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Cost:
        """The cost that a record tells; what it does not tell is zero."""
        return cls(int(values.get("tokens", 0)), float(values.get("device_seconds", 0.0)), float(values.get("seconds", 0.0)))


NOTHING = Cost()


def job_cost(job: Job, result: Result, seconds: float) -> Cost:
    """What a job cost that took `seconds` by the clock; a sampler may only write down what others wrote."""
    sampler = job.settings.get("sampler")
    draws = sampler is None or getattr(load_class(sampler["strategy"]), "draws", True)
    tokens = int(result.stats.get("tokens_sampled", 0)) if draws else 0
    return Cost(tokens, result.usage.seconds if job.needs_device else 0.0, seconds)


def together(costs: Iterable[Cost]) -> Cost:
    """The sum of costs."""
    return sum(costs, NOTHING)


@dataclass(frozen=True, slots=True)
class Spending:
    """What was really done for a campaign, a line a job; a line that a kill cut short is passed over."""

    folder: Path
    """The campaign's."""

    def add(self, label: str, cost: Cost) -> None:
        """Note a job, before its result is published: it is spent whatever becomes of the result."""
        if not self.folder.is_dir():
            return  # work that belongs to no campaign
        line = json.dumps({"label": label, **asdict(cost)})
        with (self.folder / NAME).open("a", encoding="utf-8") as lines:
            lines.write(f"\n{line}\n")  # the line before it may have been cut short

    def total(self) -> Cost:
        """Everything so far, reruns included."""
        try:
            lines = (self.folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return NOTHING
        return together(Cost.of(found) for line in lines if (found := _parsed(line)) is not None)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a campaign may spend in all; None sets no limit."""

    seconds: float | None = None
    """Of a device."""
    tokens: int | None = None
    loop_tokens: int | None = None
    """Tokens that its rounds sample and train on, evaluation apart, whoever made them (lib.loop_tokens); no round begins that would
    go over it if it took as many as the one before, and the campaign is closed."""

    def refuse(self, campaign: str, spent: Cost) -> None:
        """Raise BudgetSpent, in a sentence that says how to go on, once nothing is left."""
        over = []
        if self.tokens is not None and spent.tokens >= self.tokens:
            over.append(f"{spent.tokens:,} of {self.tokens:,} tokens")
        if self.seconds is not None and spent.device_seconds >= self.seconds:
            over.append(f"{spent.device_seconds:,.1f} of {self.seconds:,g} device-seconds")
        if over:
            raise BudgetSpent(
                f"{campaign} is stopped by its budget: {' and '.join(over)} are spent; "
                f"what is done is kept, and the same command goes on {self._larger(spent)}"
            )

    def _larger(self, spent: Cost) -> str:
        """The options of a budget that leaves as much again, or none where nothing was allowed."""
        words = []
        if self.seconds:
            seconds = math.ceil(spent.device_seconds + self.seconds) if spent.device_seconds >= self.seconds else self.seconds
            words.append(f"--budget-seconds {seconds:g}")
        if self.tokens:
            words.append(f"--budget-tokens {spent.tokens + self.tokens if spent.tokens >= self.tokens else self.tokens}")
        return f"with {' '.join(words)}" if words else "without a budget"


def facts(folder: Path, rounds: Iterable[RoundRecord]) -> dict[str, dict[str, float]]:
    """What a campaign has spent, in all its runs, and what its rounds on record reused of other rounds and campaigns."""
    reused = (Cost.of(stage.get("cost", {}).get("reused", {})) for record in rounds for stage in record.stages.values())
    return {"spent": asdict(Spending(folder).total()), "reused": asdict(together(reused))}
