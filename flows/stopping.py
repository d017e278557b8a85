"""A clean stop: flow runs of a campaign whose budget is spent, or that learned enough, end as Completed, under a name that says so."""

from __future__ import annotations

from typing import Any, cast

from prefect.client.schemas.objects import State
from prefect.states import Completed

from lib import ending
from lib.campaign import CampaignFolder
from lib.errors import BudgetSpent

NAME = "Stopped by its budget"
BY_RULE = "Stopped by its recipe"

Figures = dict[str, Any]


def stopped(spent: BudgetSpent, folder: CampaignFolder) -> State[Figures]:
    """How a flow run ends that was stopped, said in the campaign's folder too; what it returns is `outcome`."""
    ending.leave(folder.path, spent)
    return Completed(name=NAME, message=str(spent), data=outcome(spent, folder))


def ended(figures: Figures, folder: CampaignFolder) -> Figures | State[Figures]:
    """How a flow run ends that did all it should: as Completed, and where the recipe's own rule ended it, under that name."""
    if not figures["enough"]:
        return figures
    reason = f"{folder.name} is stopped by its recipe: {figures['enough']}; it goes on with a larger --rounds"
    ending.leave_stop(folder.path, reason)
    return Completed(name=BY_RULE, message=reason, data={**figures, "enough": reason})


def outcome(spent: BudgetSpent, folder: CampaignFolder) -> Figures:
    """What is said of a campaign that was stopped, in the place of its figures."""
    rounds = max((record.round for record in folder.finished()), default=0)
    return {"campaign": folder.name, "rounds": rounds, "test": [], "stopped": str(spent)}


def passed(found: Figures | State[Figures]) -> Figures:
    """What a flow run below returned. Raises BudgetSpent where that was stopped."""
    figures = cast(Figures, found)  # of a state that a flow returns, Prefect hands on what it holds
    if figures.get("stopped"):
        raise BudgetSpent(figures["stopped"])
    return figures
