"""What a comparison reads of a campaign."""

from __future__ import annotations

from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.comparison_settings import Member
from lib.course import course
from lib.home import Home
from lib.round_record import RoundRecord


def began(home: Home, name: str, base: dict[str, str]) -> object:
    folder = CampaignFolder(home, name)
    folder.create(Campaign(name, "r", {}, 1, ProblemPlan({}, {"train": 4}), base))
    folder.write_round(RoundRecord(name, 0, 1, "accepted", start=base))
    found = course(home, Member(name, "r", 1))
    assert found is not None
    return found.start


def test_one_model_in_more_roles_is_the_same_beginning(home: Home) -> None:
    alone = began(home, "alone", {"policy": "a" * 64})
    assert began(home, "beside-a-value", {"policy": "a" * 64, "value": "a" * 64}) == alone
    assert began(home, "another", {"policy": "b" * 64}) != alone
