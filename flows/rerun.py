"""A round run again from one of its stages: what comes out the same is reused, what does not invalidates what follows."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.desk import Desk, stale
from flows.round import run_round
from flows.stopping import passed
from lib import overrides


@flow(name="rerun", flow_run_name="{campaign} round {number} again")
def rerun(campaign: str, number: int, changes: dict[str, str] | None = None) -> dict[str, Any]:
    """Run the last attempt at a round again; the open desk's workshop says which stage passes over its cache.

    `changes` are settings of the recipe for this round alone, beside those that an earlier rerun of it changed. The old
    record stands until the new one is whole, and is kept beside it then. Later rounds stood on the old model, on what
    controllers decided beside it, and on its examples where they accumulate: where the new round leaves others, their records
    are set aside too, and `improve` makes these rounds again.
    """
    with Desk.at(campaign) as desk:
        old = desk.folder.record(number)
        settings = overrides.needed(desk.campaign, {**overrides.recorded(desk.folder, number), **(changes or {})})
        new = passed(run_round(campaign, number, old.attempt, old.event, settings, old.root_flow_run))
        same = new["made"] == old.made and new["state"] == old.state
        if same:
            desk.keep_test(old)
        aside = [] if same and not stale(desk.campaign, desk.folder.finished()) else desk.set_stale_aside()
    listed = ", ".join(map(str, aside))
    if same and not aside:
        sentence = f"round {number} came out the same, so everything after it stands"
    elif same:
        sentence = (
            f"round {number} has the same model, and its controllers or examples are others than rounds {listed} began with; "
            f"go on with: roundhouse improve {campaign}"
        )
    else:
        later = f"; rounds {listed} stood on the old one" if aside else ""
        sentence = f"round {number} has a new model, {new['state']}{later}; go on with: roundhouse improve {campaign}"
    if settings:
        sentence += f"; round {number} alone runs with {spoken(settings)}; the campaign's recipe and other rounds stay as they are"
    return {"campaign": campaign, "round": number, "same": same, "stale": aside, "overrides": settings, "sentence": sentence}


def spoken(settings: dict[str, str]) -> str:
    """Settings as they are typed."""
    return " ".join(f"--set {path}={value}" for path, value in settings.items())
