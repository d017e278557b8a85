"""The next round of a campaign, for schedules: one beat makes one round, or none while somebody else runs the campaign."""

from __future__ import annotations

import contextlib
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.desk import Desk
from flows.improve import improve
from flows.stopping import passed, stopped
from lib import home as homes
from lib.budget import Budget
from lib.campaign import CampaignFolder
from lib.errors import BudgetSpent, Held


@flow(name="next-round", flow_run_name="{campaign}: next round")
def next_round(campaign: str, budget_seconds: float | None = None, budget_tokens: int | None = None) -> dict[str, Any] | State[Any]:
    """Continue a campaign by one round; a campaign that is held elsewhere ends this as `Skipped`, naming the holder.

    The limit of a deployment knows only its own runs; the campaign's own lock decides among all that may run it.
    """
    try:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(Desk.at(campaign, budget=Budget(budget_seconds, budget_tokens)))
            except Held as held:
                return Completed(name="Skipped", message=f"Skipped: {held}")
            return passed(improve(campaign, more=1, budget_seconds=budget_seconds, budget_tokens=budget_tokens))
    except BudgetSpent as spent:
        return stopped(spent, CampaignFolder(homes.current(), campaign))
