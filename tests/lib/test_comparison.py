"""Models of a campaign on the test split, over a home that the store's own writers made."""

import pytest

from lib import comparison, records
from lib.campaign import CampaignFolder
from lib.errors import UserError
from lib.home import Home
from tests.small_home import PROBLEMS, SmallHome, build


@pytest.fixture
def small(home: Home) -> SmallHome:
    return build(home)


def measured(small: SmallHome, number: int, values: list[float]) -> None:
    """Give a round test figures as `close` does."""
    folder = CampaignFolder(small.home, "demo")
    record = folder.record(number)
    row = {"model_id": "m", "split": "test", "evaluator": "PassAtK", "metric": "pass_at_1"}
    items = [{**row, "problem_id": name, "value": value} for name, value in zip(PROBLEMS, values, strict=True)]
    mean = {**row, "slice": "all", "value": sum(values) / len(values), "n": len(values), "stderr": 0.1}
    files = {"metrics.parquet": (records.METRICS, [mean]), "metric_items.parquet": (records.METRIC_ITEMS, items)}
    made = small.publish("evaluate", {"round": number}, {}, {}, files).digest
    record.stages["evaluate/test"] = {"verb": "evaluate", "jobs": [], "made": {"metrics": [made], "metric_items": [made]}, "read": {}}
    folder.write_round(record)


def test_a_round_without_test_figures_is_left_out(small: SmallHome):
    measured(small, 0, [0.0, 0.0, 0.5, 0.5])
    measured(small, 1, [1.0, 0.5, 0.5, 1.0])
    found = comparison.standings(small.home, "demo")
    assert [(standing.round, standing.metrics["pass_at_1"][0]) for standing in found] == [(0, 0.25), (1, 0.75)]
    difference = comparison.difference(comparison.champion_of(found), found[0], "pass_at_1", "demo − base")
    assert (difference.what, difference.difference, difference.n) == ("demo − base", 0.5, 4)


def test_a_campaign_without_any_test_figures_says_how_to_finish_it(small: SmallHome):
    with pytest.raises(UserError, match="no test figures yet; finish it with: roundhouse improve demo"):
        comparison.standings(small.home, "demo")
