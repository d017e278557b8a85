"""The evaluate stage: completions and verdicts of one model on one split to metrics, with their per-item rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib import records, tables
from lib.protocols import Work
from lib.stages.reading import tables_of
from lib.strategy import load


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write metrics.parquet and metric_items.parquet."""
    evaluator = load(work.settings["evaluator"])
    found = evaluator.evaluate(tables_of(work))
    common = {"model_id": work.settings["model_id"], "split": work.settings["split"]}
    metrics = records.METRICS.table([{**row, **common} for row in found.metrics])
    items = records.METRIC_ITEMS.table([{**row, **common} for row in found.items])
    tables.write(metrics, records.METRICS, out / "metrics.parquet")
    tables.write(items, records.METRIC_ITEMS, out / "metric_items.parquet")
    return {}
