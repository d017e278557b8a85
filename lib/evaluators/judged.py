"""Completions with what was said of them, by problem: what evaluators begin with.

What counts as correct stands in lib.outcomes; verdicts of an evaluator's `scorer` are left out of this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lib.outcomes import outcomes
from lib.protocols import Tables


@dataclass(frozen=True, slots=True)
class Judged:
    """One completion."""

    completion_id: str
    problem_id: str
    parent_id: str | None
    role: str
    sample_index: int
    text: str
    finish_reason: str
    tokens: int
    outcome: str  # correct, wrong or undecided

    @property
    def is_correct(self) -> bool:
        return self.outcome == "correct"

    @property
    def is_decided(self) -> bool:
        return self.outcome != "undecided"

    @property
    def plain(self) -> str:
        """Its text, runs of white space as one space."""
        return " ".join(self.text.split())


_COLUMNS = ("completion_id", "problem_id", "parent_id", "role", "sample_index", "text", "finish_reason")


def judged(tables: Tables, beside: Iterable[str] = ()) -> dict[str, list[Judged]]:
    """Problem → its completions by sample index and id; every problem is there, in order. `beside`: verifiers left out."""
    said = outcomes(tables, beside)
    found: dict[str, list[Judged]] = {problem: [] for problem in sorted(tables.problems["problem_id"].to_pylist())}
    lengths = [len(ids) for ids in tables.completions["completion_ids"]]
    for cells, tokens in zip(zip(*(tables.completions[c].to_pylist() for c in _COLUMNS), strict=True), lengths, strict=True):
        row: dict[str, Any] = dict(zip(_COLUMNS, cells, strict=True))
        if row["problem_id"] in found:
            found[row["problem_id"]].append(Judged(**row, tokens=tokens, outcome=said[row["completion_id"]]))
    for rows in found.values():
        rows.sort(key=lambda row: (row.sample_index, row.completion_id))
    return found


def decided(tables: Tables, beside: Iterable[str] = ()) -> dict[str, list[Judged]]:
    """The same without what is undecided, and without problems of which nothing is left."""
    kept = {problem: [row for row in rows if row.is_decided] for problem, rows in judged(tables, beside).items()}
    return {problem: rows for problem, rows in kept.items() if rows}


def scores(tables: Tables, verifier: str) -> dict[str, float]:
    """Completion → the score that a verifier gave it as a whole; those without one are not there."""
    columns = ("completion_id", "verifier", "step", "rival_id", "score")
    rows = zip(*(tables.verdicts[c].to_pylist() for c in columns), strict=True)
    return {name: score for name, who, step, rival, score in rows if (who, step, rival) == (verifier, None, None) and score is not None}


def drawn_tokens(tables: Tables) -> dict[str, int]:
    """Completion → the tokens that were drawn for it: in a tree, those after the tokens of the node that it continues."""
    nodes = {row["completion_id"]: row for row in tables.nodes.select(["completion_id", "parent", "tokens"]).to_pylist()}
    found = {}
    lengths = [len(ids) for ids in tables.completions["completion_ids"]]
    for name, length in zip(tables.completions["completion_id"].to_pylist(), lengths, strict=True):
        parent = nodes.get(nodes.get(name, {}).get("parent") or "")
        found[name] = max(0, length - (parent["tokens"] if parent else 0))  # one that was not sampled has none
    return found
