"""What a dry run takes a stage to make that has not run."""

from __future__ import annotations

import pytest

from flows.forecast import UNKNOWN, Forecast
from lib import plan
from lib.campaign import CampaignFolder
from lib.filters.born_problems import BornProblems
from lib.filters.keep_correct import KeepCorrect
from lib.filters.sft_rows import SftRows
from lib.home import Home
from lib.job import Label, Result
from lib.plan import Ground
from lib.recipe import Phase, Stage
from lib.round_record import RoundRecord
from lib.samplers.independent import Independent
from lib.strategy import Strategy
from tasks.filter import filter

PHASE = Phase(sampler=Independent())
GROUND = Ground(Label("demo", 1, "", ""), 0, {}, ("drawn/shard-000",), (), {}, {}, {})


@pytest.mark.parametrize(
    ("run", "worked_at"),
    [((KeepCorrect(), SftRows()), ("drawn/shard-000",)), ((BornProblems(),), (f"{UNKNOWN}1",))],
)
def test_stages_after_a_filter_that_has_not_run_work_at_other_problems_only_where_it_makes_some(
    home: Home, run: tuple[Strategy, ...], worked_at: tuple[str, ...]
) -> None:
    shop = Forecast(CampaignFolder(home, "demo"), RoundRecord("demo", 1, 1), ())
    stage = Stage(verb="filter", run=run)
    finished = filter(PHASE, stage, Result({}, (Result({"problems": GROUND.problems}),)), GROUND, shop)
    after = Stage(verb="verify", reads=("filter",))
    assert plan.shards_of(after, finished.result) == worked_at
