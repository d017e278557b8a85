"""What a rule for stopping is given."""

from __future__ import annotations

from pathlib import Path

from flows.enough import past_of
from lib import records
from lib.home import Home
from lib.round_record import RoundRecord
from lib.store import Store
from tests.small_home import SmallHome, note

ROW = {"split": "validation", "evaluator": "E", "metric": "m", "problem_id": "p"}


def test_a_rule_sees_the_figures_of_the_policy_alone_and_none_where_there_are_none(tmp_path: Path) -> None:
    small = SmallHome(Home(tmp_path), Store(Home(tmp_path).store))
    for models in (["ours", "theirs"], []):
        rows = [{**ROW, "model_id": model, "value": 1.0} for model in models]
        figures = small.publish("evaluate", {"n": len(rows)}, {}, {}, {"metric_items.parquet": (records.METRIC_ITEMS, rows)})
        record = RoundRecord("c", 1, 1, "accepted", start={"policy": "before"}, made={"policy": "ours"})
        note(record, "evaluate/validation", "evaluate", [figures], "metric_items")
        assert past_of(record, small.store).items["model_id"].to_pylist() == models[:1]
