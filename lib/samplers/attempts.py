"""Attempts that further turns follow: which there are, what was said of them, and how the next prompt shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lib import records
from lib.protocols import Tables
from lib.samplers.templates import filled

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Said:
    """What verifiers said of a completion."""

    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A completion that a further turn follows."""

    row: Mapping[str, Any]
    """Its columns."""
    messages: Messages
    """What it answers."""
    reason: str = ""
    """What the verifiers said of it."""
    feedback: str = ""
    """What a role said of it."""
    behind: Mapping[str, Any] | None = None
    """The row that the next turn follows, where it is not the attempt itself but what was said of it."""

    @property
    def parent(self) -> Mapping[str, Any]:
        return self.row if self.behind is None else self.behind


def verdicts_on(verdicts: pa.Table, verifier: str | None) -> dict[str, Said]:
    """completion_id → what the named verifier, or each with an outcome, says of the whole: wrong if one does, else undecided
    if one does; with the reason of the first (by name) that says so."""
    rows = verdicts.select(["completion_id", "verifier", "outcome", "reason", "step", "rival_id"]).to_pylist()
    found: dict[str, Said] = {}
    ranks = ("correct", "undecided", "wrong")
    for row in sorted(rows, key=lambda row: str(row["verifier"])):
        whole = row["step"] is None and row["rival_id"] is None and row["outcome"] in ranks
        if whole and verifier in (None, row["verifier"]):
            known = found.get(row["completion_id"])
            if known is None or ranks.index(row["outcome"]) > ranks.index(known.outcome):
                found[row["completion_id"]] = Said(row["outcome"], row["reason"])
    return found


def prompts_of(tables: Tables) -> dict[str, Messages]:
    """problem_id → its chat."""
    rows = tables.problems.select(["problem_id", "prompt"]).to_pylist()
    return {row["problem_id"]: records.chat(row["prompt"]) for row in rows}


def latest(tables: Tables) -> list[dict[str, Any]]:
    """The sampled completions of the given problems that no other follows, in the order of the problems and their turns."""
    places = {problem: place for place, problem in enumerate(tables.problems["problem_id"].to_pylist())}
    rows = tables.completions.to_pylist()
    followed = {row["parent_id"] for row in rows}
    free = [row for row in rows if row["problem_id"] in places and row["completion_id"] not in followed and row["finish_reason"] != "error"]
    return sorted(free, key=lambda row: (places[row["problem_id"]], row["turn"], row["sample_index"], row["completion_id"]))


def first_of_each(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first of each problem's rows, in the order given."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        found.setdefault(row["problem_id"], row)
    return list(found.values())


def followed(attempt: Attempt, prompt: Messages, template: str, ending: str, foreign: str) -> Messages:
    """The chat that asks for the next turn.

    A template that shows {prompt} or {attempt} takes the place of the problem's last message, `ending` taken off {prompt}
    first. Any other is said by the user after the attempt, which stands as the assistant's turn.
    """
    text = re.sub(foreign, ",", attempt.row["text"]) if foreign else attempt.row["text"]
    values = {"attempt": text, "reason": attempt.reason, "feedback": attempt.feedback}
    if "{prompt}" in template or "{attempt}" in template:
        last = prompt[-1]
        return [*prompt[:-1], {**last, "content": filled(template, {**values, "prompt": last["content"].removesuffix(ending)})}]
    said = {"role": "assistant", "content": filled("{attempt}", values)}
    return [*attempt.messages, said, {"role": "user", "content": filled(template, values)}]


def table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The rows as a completions table."""
    return records.COMPLETIONS.table([dict(row) for row in rows])
