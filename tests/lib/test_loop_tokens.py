"""What rounds are charged, read from their records and from what their jobs said of themselves."""

import pytest

from lib import course as courses
from lib.campaign import CampaignFolder
from lib.comparison_settings import Member
from lib.home import Home
from lib.loop_tokens import Tokens, stage_figures, taken
from lib.round_record import RoundRecord
from lib.store import Store
from tests.small_home import SmallHome, build


@pytest.fixture
def small(home: Home) -> SmallHome:
    return build(home)


def trained(small: SmallHome, **stats: float) -> dict:
    """A train stage whose one job told these figures."""
    made = small.publish("train", {"stats": stats}, {}, {}, {"model.txt": str(stats)}, stats=stats)
    return {"verb": "train", "jobs": [{"key": made.key, "version": made.version, "digest": made.digest, "reused": True}]}


def test_what_was_reused_counts_and_evaluation_does_not(small: SmallHome):
    record = RoundRecord("x", 1, 1)
    record.stages["main/sample"] = {"verb": "sample", "jobs": [], "cost": {"spent": {"tokens": 70}, "reused": {"tokens": 30}}}
    record.stages["main/verify"] = {"verb": "verify", "jobs": [], "cost": {"spent": {"tokens": 5}}}
    record.stages["main/train"] = trained(small, tokens_trained=400, loss_last=0.5)
    record.stages["evaluate/validation"] = {"verb": "evaluate", "jobs": [], "cost": {"spent": {"tokens": 9000}}}
    assert taken(record, small.store) == Tokens(105, 400)
    assert taken(record, small.store).total == 505
    assert stage_figures(record, "main/train", small.store)[0]["loss_last"] == 0.5


def test_a_course_adds_up_its_rounds_and_its_rejected_attempts(small: SmallHome):
    folder = CampaignFolder(small.home, "demo")
    for number in (0, 1, 2):
        record = folder.record(number)
        record.stages.pop("evaluate/validation", None)
        if number:
            record.stages["main/sample"]["cost"] = {"spent": {"tokens": 100 * number}}
        folder.write_round(record)
    found = courses.course(small.home, Member("demo", "expert_iteration", 0))
    assert found.tokens == {0: Tokens(), 1: Tokens(100), 2: Tokens(300)}
    assert [found.fits(budget) for budget in (None, 300, 299, 100, 99)] == [2, 2, 1, 1, 0]
    assert found.start["models"] == [small.base]
    assert courses.course(small.home, Member("gone", "expert_iteration", 0)) is None


def test_training_that_was_never_told_is_not_made_up(small: SmallHome):
    assert taken(CampaignFolder(small.home, "demo").record(1), Store(small.home.store)).trained == 0
