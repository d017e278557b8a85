"""Whole-completion verdicts as a table: the columns that every rule-based verifier fills alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lib import records, tables
from lib.protocols import Tables

_SCORES = {"correct": 1.0, "wrong": 0.0}


class Judgement(NamedTuple):
    """What a rule says of one completion."""

    outcome: str  # correct, wrong or undecided
    reason: str
    share: float | None = None  # of the parts that are right, where an answer has parts


def verdicts_of(completions: pa.Table, verifier: str, judgements: Sequence[Judgement]) -> pa.Table:
    """Rows of records.VERDICTS, one a completion in the same order; the score is the share that is right, else 1 or 0 as the
    outcome is correct or wrong; an undecided one has none."""
    scores = [_SCORES.get(judgement.outcome) if judgement.share is None else judgement.share for judgement in judgements]
    rows = pa.table(
        {
            "completion_id": completions["completion_id"],
            "verifier": pa.array([verifier] * len(judgements), pa.string()),
            "reason": pa.array([judgement.reason for judgement in judgements], pa.string()),
            "n_tokens": pc.list_value_length(completions["completion_ids"]),
            "outcome": pa.array([judgement.outcome for judgement in judgements], pa.string()),
            "score": pa.array(scores, pa.float64()),
        }
    )
    return tables.conform(rows, records.VERDICTS)


def of_task(tables: Tables, task: str) -> pa.Table:
    """The completions of a task's problems."""
    mine = tables.problems.filter(pc.equal(tables.problems["task"], task))["problem_id"]
    return tables.completions.filter(pc.is_in(tables.completions["problem_id"], mine.combine_chunks()))
