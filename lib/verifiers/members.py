"""What verifiers that are made of other verifiers share: what each member says of a whole completion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow.compute as pc

from lib.protocols import Engine, Tables
from lib.strategy import name_of
from lib.verifiers import scores


class Said(NamedTuple):
    """What several verifiers say together of one completion."""

    outcome: str | None
    """undecided if any of them is, else correct if all that decide are, else wrong; None where none of them decides."""
    score: float | None
    """The mean of their scores; None where it is undecided."""
    reason: str


def member_name(member: Any) -> str:
    """The name of a verifier's verdicts."""
    return str(getattr(member, "name", name_of(type(member))))


def whole(member: Any, tables: Tables, engines: Mapping[str, Engine]) -> dict[str, scores.Row]:
    """completion_id → what a member says of the whole completion."""
    verdicts = member.verify(tables, engines)
    found = verdicts.filter(pc.and_(pc.is_null(verdicts["step"]), pc.is_null(verdicts["rival_id"])))
    return {row["completion_id"]: row for row in found.select(["completion_id", "outcome", "score", "reason"]).to_pylist()}


def score_of(said: scores.Row) -> float:
    """Its score, or 1 if it says correct and 0 if it says wrong where it has none."""
    return float(said["score"]) if said["score"] is not None else float(said["outcome"] == "correct")


def unit_of(members: Sequence[Any]) -> str:
    """What is judged together: a group where a member looks at one, else a completion."""
    return "group" if any(getattr(member, "unit", "") == "group" for member in members) else "completion"


def left_open(said: scores.Row | None) -> str:
    """Why a member's word decides and scores nothing; empty where it does."""
    if said is None:
        return "says nothing"
    is_open = said["outcome"] == "undecided" or (said["outcome"] is None and said["score"] is None)
    return f"is undecided: {said['reason']}" if is_open else ""


def together(members: Sequence[Any], tables: Tables, engines: Mapping[str, Engine]) -> dict[str, Said]:
    """completion_id → what those members say that say anything of it; a completion that none speaks of is undecided."""
    each = [whole(member, tables, engines) for member in members]
    ids = tables.completions["completion_id"].to_pylist()
    return {name: _together([said[name] for said in each if name in said]) for name in ids}


def _together(said: Sequence[scores.Row]) -> Said:
    unsure = [one for one in said if left_open(one)]
    if unsure or not said:
        return Said("undecided", None, unsure[0]["reason"] if unsure else "no verifier speaks of it")
    outcomes = {one["outcome"] for one in said} - {None}
    outcome = None if not outcomes else "correct" if outcomes == {"correct"} else "wrong"
    return Said(outcome, math.fsum(map(score_of, said)) / len(said), "; ".join(one["reason"] for one in said))
