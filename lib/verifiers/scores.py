"""What verifiers with a model behind them share: rows of verdicts with scores, groups and win rates, templates filled in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lib import records
from lib.errors import UserError
from lib.protocols import Tables

LONGEST_TEXT = 20_000
"""Characters of a completion that a model is shown, counted from the end; what stands before gives way to `…`."""

_PLACE = re.compile(r"\{(prompt|completion|rival|gold|steps|scale)\}")

Row = dict[str, Any]


def rows_of(tables: Tables, *columns: str) -> list[Row]:
    """The completions, with these columns and those that every verdict needs, in order."""
    wanted = dict.fromkeys(("completion_id", "problem_id", "group_id", "text", "finish_reason", *columns))
    return tables.completions.select(list(wanted)).to_pylist()


def problems_of(tables: Tables) -> dict[str, Row]:
    """problem_id → its messages as chat templates take them, its prompt as one text, and its gold answer."""
    rows = tables.problems.select(["problem_id", "prompt", "answer"]).to_pylist()
    found = {}
    for row in rows:
        messages = records.chat(row["prompt"])
        found[row["problem_id"]] = {"messages": messages, "text": "\n".join(m["content"] for m in messages), "gold": row["answer"]}
    return found


def verdict(of: Row, verifier: str, score: float | None, reason: str, **more: Any) -> Row:
    """One row of records.VERDICTS; without a finite score it is undecided, unless an outcome is given."""
    if score is not None and not math.isfinite(score):
        score, reason = None, f"{reason}: not a finite number"
    outcome = "undecided" if score is None else None
    row = {"completion_id": of["completion_id"], "verifier": verifier, "score": score, "reason": reason, "outcome": outcome}
    return {"n_tokens": 0, **row, **more}


def table(rows: Sequence[Row]) -> pa.Table:
    """The rows as a verdicts table."""
    return records.VERDICTS.table(list(rows))


def filled(template: str, values: Mapping[str, str]) -> str:
    """A template with `{prompt}`, `{completion}`, … replaced once each: a brace in what is put in is text."""
    return _PLACE.sub(lambda match: values.get(match[1], match[0]), template)


def shown(text: str) -> str:
    """A completion as a model is shown it: without surrogates and null bytes, and at most LONGEST_TEXT characters of it."""
    clean = text[-LONGEST_TEXT:].replace("\0", " ").encode("utf-8", "replace").decode()
    return f"…{clean}" if len(text) > LONGEST_TEXT else clean


def class_score(logits: Sequence[float], label: int, *, of: str) -> float:
    """A single logit as it is; of several classes the probability of `label`. Raises UserError if there is no such class."""
    if len(logits) == 1:
        return logits[0]
    if not 0 <= label < len(logits):
        raise UserError(f"{of}: the model has {len(logits)} classes and none numbered {label}; set label to one from 0")
    highest = max(logits)
    powers = [math.exp(value - highest) for value in logits]
    return powers[label] / math.fsum(powers)


def logistic(value: float) -> float:
    """σ(z) = 1 / (1 + e^-z), for any z."""
    return 1.0 / (1.0 + math.exp(-value)) if value >= 0 else math.exp(value) / (1.0 + math.exp(value))


def groups_of(rows: Sequence[Row]) -> list[list[int]]:
    """Places of the completions of each group, in the order of their ids; those that were not sampled are in none."""
    found: dict[str, list[int]] = {}
    for place in sorted(range(len(rows)), key=lambda place: rows[place]["completion_id"]):
        if rows[place]["finish_reason"] != "error":
            found.setdefault(rows[place]["group_id"], []).append(place)
    return list(found.values())


def win_rates(wins: Mapping[tuple[int, int], float | None], members: Sequence[int]) -> dict[int, float]:
    """Member → its mean probability of winning over the group, itself included with 1/2 (SPPO, Wu et al. 2024).

    A rival whom it could not be compared with is left out; who could be compared with nobody has no rate.
    """
    found = {}
    for member in members:
        won = [chance for rival in members if (chance := wins.get((member, rival))) is not None]
        if won or len(members) == 1:
            found[member] = (0.5 + math.fsum(won)) / (1 + len(won))
    return found
