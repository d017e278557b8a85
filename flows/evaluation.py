"""The figures of a campaign's champion, or of one of its rounds, outside any round: nothing decides by them."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.context import FlowRunContext

from flows.desk import Desk
from lib.errors import UnknownName
from lib.round_record import RoundRecord
from tasks.evaluate import evaluate as evaluated
from tasks.evaluate import metric_rows

SPLITS = ("validation", "gate")
"""The test split is not among them: it is read once, when the campaign is complete."""


@flow(name="evaluate", flow_run_name="{campaign}: evaluate")
def evaluate(campaign: str, round: int | None = None, split: str = "validation") -> list[dict[str, Any]]:
    """Measure the champion, or the model that a round made, and return the figures, shown as a table on the run's page.

    A model that was measured on a split before is not measured again. Waits while somebody else runs the campaign.
    """
    if split not in SPLITS:
        raise UnknownName("split", split, SPLITS, "to evaluate on")
    with Desk.at(campaign, wait=True) as desk:
        record = desk.folder.record(round) if round is not None else champion(desk)
        models = record.judged(desk.recipe.evaluators)
        ground = desk.ground(record.round, record.attempt)
        rows = metric_rows(evaluated(desk.recipe, models, split, desk.held_out[split], ground, desk.shop), desk.shop)
    if FlowRunContext.get() is not None:
        key = f"{campaign}-r{record.round}-evaluate-{split}".lower().replace("_", "-")
        create_table_artifact(key=key, table=rows, description=f"{campaign} round {record.round} on {split}")
    return rows


def champion(desk: Desk) -> RoundRecord:
    """The round that made the champion: the last that the gate accepted, round 0 for the base model."""
    accepted = [record for record in desk.folder.finished() if record.state == "accepted"]
    if not accepted:
        raise UnknownName(
            "finished round", "champion", [], f"in campaign '{desk.folder.name}'; run one: roundhouse improve {desk.folder.name}"
        )
    return accepted[-1]
