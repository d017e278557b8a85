"""What controllers decided over the rounds, as tables: one for each, a row for each setting and part of its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib.artifacts import Artifacts
from lib.decided import decisions, figures
from lib.round_record import RoundRecord

MOST = 40
"""Rows of one controller that are shown: a bandit may have as many arms as there are categories."""


def controllers(records: Sequence[RoundRecord], artifacts: Artifacts) -> list[dict[str, Any]]:
    """For each controller: its stage, its rows (what, and its value by round and attempt), and how many more there are."""
    found: dict[str, dict[str, dict[tuple[int, int], str]]] = {}
    for record in records:
        for decision in decisions(record, artifacts):
            rows = found.setdefault(decision["controller"], {})
            for name, value in figures(decision).items():
                rows.setdefault(name, {})[record.round, record.attempt] = value
    return [
        {"stage": stage, "rows": [{"what": name, "values": rows[name]} for name in [*rows][:MOST]], "more": max(0, len(rows) - MOST)}
        for stage, rows in found.items()
    ]
