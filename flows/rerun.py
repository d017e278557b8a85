"""A round run again from one of its stages: what comes out the same is reused, what does not invalidates what follows."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.desk import Desk
from flows.round import run_round


@flow(name="rerun", flow_run_name="{campaign} round {number} again")
def rerun(campaign: str, number: int) -> dict[str, Any]:
    """Run the last attempt at a round again; the open desk's workshop says which stage passes over its cache.

    The old record stands until the new one is whole, and is kept beside it then. Later rounds stood on the old model:
    where the new one differs, their records are set aside too, and `improve` makes these rounds again.
    """
    with Desk.at(campaign) as desk:
        old = desk.folder.record(number)
        new = run_round(campaign, number, old.attempt, supersedes=old.event)
        same = new["made"] == old.made and new["state"] == old.state
        if same:
            desk.keep_test(old)
            stale = []
        else:
            stale = desk.set_stale_aside()
    if same:
        sentence = f"round {number} came out the same, so everything after it stands"
    else:
        later = f"; rounds {', '.join(map(str, stale))} stood on the old one" if stale else ""
        sentence = f"round {number} has a new model, {new['state']}{later}; go on with: roundhouse improve {campaign}"
    return {"campaign": campaign, "round": number, "same": same, "stale": stale, "sentence": sentence}
