"""The lineage of a campaign's models as a drawing: a line of champions downwards, what was rejected beside it, examples at the side.

A row a model, in the order of their making. Units are those of lib.report.charts; a row's words stand in the page, beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib.campaign_settings import Campaign
from lib.report.words import count
from lib.round_record import RoundRecord

ROW = 58
MAIN, BRANCH, EXAMPLES = 20, 46, 78
"""Where champions, rejected models and examples stand, from the left."""

CROWDED = 12
"""Of more rounds than this only the examples of a model's own round are joined to it."""

Json = dict[str, Any]


def anchor(number: int, attempt: int) -> str:
    """The name of a round's place in the page."""
    return f"round-{number}" + (f"-attempt-{attempt}" if attempt > 1 else "")


def tree(campaign: Campaign, records: Sequence[RoundRecord], role: str, trained: dict[tuple[int, int], Json]) -> Json:
    """Nodes, edges and words of one role's models; `trained` are the funnel's counts of examples."""
    rounds = [record for record in records if record.round and role in record.made]
    first = next((record.start[role] for record in rounds if role in record.start), campaign.base.get(role, ""))
    nodes = [_node(0, MAIN, "base", "base model", first, anchor(0, 1), "")]
    edges: list[Json] = []
    places = {first: (MAIN, _y(0))}
    squares: dict[str, tuple[int, int]] = {}
    for row, record in enumerate(rounds, start=1):
        x = MAIN if record.accepts(role) else BRANCH
        state = "accepted" if record.accepts(role) else "rejected"
        again = f", attempt {record.attempt}" if record.attempt > 1 else ""
        told = _learned(trained.get((record.round, record.attempt), {}))
        nodes.append(_node(row, x, state, f"round {record.round}{again}", record.made[role], anchor(record.round, record.attempt), told))
        start = places.get(record.start.get(role, first), (MAIN, _y(0)))
        edges.append({"kind": state, "path": _bend(*start, x, _y(row))})
        for stage in record.stages.values():
            squares |= {job["digest"]: (EXAMPLES, _y(row)) for job in stage["jobs"] if stage["verb"] == "filter"}
        edges += [{"kind": "data", "path": path} for path in _read(record, squares, x, _y(row), len(rounds) > CROWDED)]
        places.setdefault(record.made[role], (x, _y(row)))
    return {
        "role": role,
        "height": ROW * len(nodes),
        "nodes": nodes,
        "edges": edges,
        "squares": [{"x": x, "y": y} for x, y in dict.fromkeys(squares.values())],
    }


def _y(row: int) -> int:
    return ROW * row + ROW // 2


def _node(row: int, x: int, state: str, name: str, digest: str, to: str, told: str) -> Json:
    return {"x": x, "y": _y(row), "state": state, "name": name, "digest": digest, "to": to, "told": told}


def _bend(x: int, y: int, to_x: int, to_y: int) -> str:
    middle = (y + to_y) / 2
    return f"M{x},{y} L{to_x},{to_y}" if x == to_x else f"M{x},{y} C{x},{middle:g} {to_x},{middle:g} {to_x},{to_y}"


def _read(record: RoundRecord, squares: dict[str, tuple[int, int]], x: int, y: int, own_only: bool) -> list[str]:
    """Lines from the examples that a round's trainers read to its model."""
    learned = [ref for s in record.stages.values() if s["verb"] == "train" for ref in s.get("learned", {}).get("examples", ())]
    found = dict.fromkeys(squares[ref] for ref in learned if ref in squares)
    return [f"M{sx},{sy} C{sx - 4},{(sy + y) / 2:g} {sx - 12},{y} {x + 7},{y}" for sx, sy in found if sy == y or not own_only]


def _learned(trained: Json) -> str:
    parts = [(trained.get("own", 0), "of its own"), (trained.get("earlier", 0), "earlier"), (trained.get("replayed", 0), "replayed")]
    told = [f"{number:,} {word}" for number, word in parts if number]
    total = sum(number for number, _ in parts)
    return f"{count(total, 'example')}: {', '.join(told)}" if len(told) > 1 else count(total, "example") if total else ""
