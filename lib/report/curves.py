"""A campaign's figures over its rounds: validation in every round, and the closing figures of the test split."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lib.alarms.every import Alarms
from lib.alarms.reading import NONE
from lib.comparison import METRICS
from lib.report import charts
from lib.report.charts import Point
from lib.report.words import spoken
from lib.round_record import RoundRecord

Json = dict[str, Any]


def metrics(records: Sequence[RoundRecord], closing: Iterable[Mapping[str, Any]]) -> list[Json]:
    """A chart and a table for each metric that models are compared by, with 95 % intervals."""
    tests = {(row["round"], row["attempt"], row["metric"]): row for row in reversed([*closing]) if row["slice"] == "all"}
    found = []
    for metric in METRICS:
        points = []
        for record in records:
            place = record.round, record.attempt
            rows = [("test", tests[*place, metric])] if (*place, metric) in tests else []
            rows += [(record.state, row) for row in _validation(record, metric)]
            points += [Point(*place, row["value"], *_interval(row, metric), kind) for kind, row in rows if _finite(row)]
        if points:
            found.append({"name": spoken(metric), **charts.curve(spoken(metric), points), "rows": _table(points)})
    return found


def _interval(row: Mapping[str, Any], metric: str) -> tuple[float, float]:
    return charts.interval(row["value"], row["stderr"], is_share=not metric.startswith("nll_"))


def others(records: Sequence[RoundRecord]) -> Json:
    """Every other figure of every evaluator on validation, the policy's, as a table with a column for each round's attempt."""
    found: dict[tuple[str, str], dict[int, str]] = {}
    for place, record in enumerate(records):
        for row in record.metrics:
            if (row["split"], row["slice"]) == ("validation", "all") and row["metric"] not in METRICS and _finite(row):
                found.setdefault((row["evaluator"], row["metric"]), {}).setdefault(place, _told(row))
    rows = [{"evaluator": evaluator, "metric": metric, "cells": cells} for (evaluator, metric), cells in found.items()]
    return {"columns": [_place(record) for record in records], "rows": rows}


def _told(row: Mapping[str, Any]) -> str:
    """A figure with its standard error, where it has one."""
    return f"{row['value']:.4g}" + ("" if row["stderr"] is None else f" ± {row['stderr']:.2g}")


def alarms(records: Sequence[RoundRecord]) -> list[Json]:
    """A chart for each alarm that any round could read, with its thresholds; and what the last round says of it."""
    found = []
    for name in Alarms.model_fields:
        read = [(record, row) for record in records for row in record.alarms if row["alarm"] == name]
        if not read:
            continue
        points = [
            Point(r.round, r.attempt, row["value"], row["value"], row["value"], row["level"]) for r, row in read if row["level"] != NONE
        ]
        last = read[-1][1]
        title = spoken(name)
        chart = charts.curve(title, points, _thresholds(last)) if points else None
        found.append({"name": title, "last": last, "chart": chart, "rows": [{"round": _place(r), **row} for r, row in read]})
    return found


def _thresholds(row: Mapping[str, Any]) -> list[tuple[float, str, str]]:
    return [(row[f"{level}_from"], level, level) for level in ("watch", "alarm") if row.get(f"{level}_from") is not None]


def _validation(record: RoundRecord, metric: str) -> list[Json]:
    """The policy's figure, which stands first."""
    rows = [row for row in record.metrics if (row["split"], row["metric"], row["slice"]) == ("validation", metric, "all")]
    return rows[:1]


def _finite(row: Mapping[str, Any]) -> bool:
    return row["value"] is not None and math.isfinite(row["value"])


def _table(points: Sequence[Point]) -> list[Json]:
    rows: dict[tuple[int, int], Json] = {}
    for point in points:
        place = "base" if not point.round else _named(point.round, point.attempt)
        row = rows.setdefault((point.round, point.attempt), {"round": place, "state": "", "validation": "", "test": ""})
        split = "test" if point.kind == "test" else "validation"
        ends = f" ({point.low:.3f} to {point.high:.3f})" if point.low != point.high else ""
        row[split] = f"{point.value:.3f}{ends}"
        if point.kind != "test":
            row["state"] = point.kind
    return list(rows.values())


def _place(record: RoundRecord) -> str:
    return "base" if not record.round else _named(record.round, record.attempt)


def _named(number: int, attempt: int) -> str:
    return f"{number}, attempt {attempt}" if attempt > 1 else str(number)
