"""What an audit found: each mismatch with what was expected, what is there and what to do, and how much was looked at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

COUNTED = {
    "artifacts": "artifacts",
    "files": "files",
    "bytes": "bytes",
    "records": "records of publications",
    "rounds": "records of rounds",
    "completions": "completions accounted for",
    "rows_owed": "sample and verify jobs whose rows were counted",
    "examples": "examples",
    "held_out_problems": "held-out problems",
    "mlflow_runs": "MLflow runs",
}
"""What is counted → what people call it."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that is not as it should be."""

    check: str
    """The module of lib.audit that found it."""
    thing: str
    expected: str
    found: str
    remedy: str

    @property
    def line(self) -> str:
        return f"{self.thing}: expected {self.expected}, found {self.found}; {self.remedy}"


@dataclass(slots=True)
class Report:
    """All that an audit has to say of a campaign."""

    campaign: str
    mismatches: list[Mismatch] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    """What should have been looked at and could not be, each with the remedy; an audit with such gaps has not passed."""
    losses: list[str] = field(default_factory=list)
    """What was lost or damaged before, and made again since."""
    collected: list[str] = field(default_factory=list)
    """Models whose weights `roundhouse gc` removed."""
    unpublished: list[str] = field(default_factory=list)
    """Events that still wait for MLflow."""
    notes: list[str] = field(default_factory=list)
    """What was left out for a good reason."""
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def passed(self) -> bool:
        return not self.mismatches and not self.unchecked

    def add(self, check: str, thing: str, expected: object, found: object, remedy: str) -> None:
        self.mismatches.append(Mismatch(check, thing, str(expected), str(found), remedy))

    def summary(self) -> str:
        """How much was looked at, in a line."""
        return ", ".join(f"{self.counts[name]:,} {words}" for name, words in COUNTED.items() if name in self.counts)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        rows = [{"check": m.check, "thing": m.thing, "expected": m.expected, "found": m.found, "remedy": m.remedy} for m in self.mismatches]
        told = {name: getattr(self, name) for name in ("unchecked", "losses", "collected", "unpublished", "notes")}
        return {"campaign": self.campaign, "passed": self.passed, "mismatches": rows, **told, "checked": dict(self.counts)}


def short(digest: str) -> str:
    """A digest as a line has room for it."""
    return digest[:12] or "none"
