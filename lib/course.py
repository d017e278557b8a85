"""The course of one campaign of a comparison: what it had taken after each round, and how the model stood that it had then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lib.campaign import CampaignFolder
from lib.comparison import Standing, standings
from lib.comparison_settings import Member
from lib.errors import UserError
from lib.home import Home
from lib.loop_tokens import Tokens, taken
from lib.store import Store


@dataclass(frozen=True, slots=True)
class Course:
    """One campaign as far as it came."""

    member: Member
    tokens: dict[int, Tokens]
    """Round → what all rounds up to it took, rejected attempts too; round 0 took nothing."""
    validation: list[Standing]
    """Every attempt, in order."""
    test: list[Standing]
    """The same on the test split; empty before the campaign is closed."""
    start: dict[str, Any] = field(default_factory=dict)
    """What it began with: models, whatever roles they play, and the problem set with its counts."""

    def fits(self, budget: int | None) -> int:
        """The last round that took, with all before it, no more than the budget."""
        return max(number for number, found in self.tokens.items() if budget is None or found.total <= budget)

    def stands(self, split: str, number: int) -> Standing | None:
        """The model that the campaign had after a round: the last one that was accepted by then. None without figures."""
        found = [one for one in getattr(self, split) if one.round <= number and one.state == "accepted"]
        return found[-1] if found else None


def course(home: Home, member: Member) -> Course | None:
    """What a campaign left; None where not even its base model was measured."""
    folder, store = CampaignFolder(home, member.campaign), Store(home.store)
    if not folder.exists or not (records := folder.finished()):
        return None
    campaign = folder.load()
    tokens: dict[int, Tokens] = {}
    so_far = Tokens()
    for record in records:
        so_far += taken(record, store) if record.round else Tokens()
        tokens[record.round] = so_far
    problems = campaign.problems
    start = {"models": sorted({*campaign.base.values()}), "problems": [problems.source, problems.counts, problems.seed, problems.fresh]}
    return Course(member, tokens, _measured(home, member, "validation"), _measured(home, member, "test"), start)


def _measured(home: Home, member: Member, split: str) -> list[Standing]:
    try:
        return standings(home, member.campaign, split)
    except UserError:  # none yet
        return []
