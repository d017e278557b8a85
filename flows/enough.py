"""The recipe's own rule for stopping: asked before each new round, and overruled by whoever asks for more rounds by number.

What it said is kept in campaigns/NAME/stop.json with the round that the campaign was to go up to. As long as that is the aim,
the same command stops again; one that aims further goes on, and what it stopped at becomes what later rounds are held against.
"""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from flows.desk import Desk
from lib import records, tables
from lib.deciding import Past
from lib.roles import POLICY
from lib.round_record import RoundRecord
from lib.store import Store


def enough(desk: Desk, goal: int) -> str:
    """Why the campaign stops before its next round, noted in its folder; empty where it goes on."""
    rule: Any = desk.recipe.stop
    if rule is None:
        return ""
    noted = desk.folder.stop()
    since = noted["round"] if noted and goal > noted["goal"] else 0
    past = [past_of(record, desk.shop.store) for record in desk.folder.finished() if record.round >= since]
    reason = str(rule.stop(past, desk.campaign.seed))
    if reason:
        desk.folder.write_stop(past[-1].round, goal, reason)
    return reason


def past_of(record: RoundRecord, store: Store) -> Past:
    """A finished round, with what was measured of its policy on validation."""
    policy = {**record.start, **record.made}.get(POLICY, "")
    paths = [store.folder(ref) / "metric_items.parquet" for ref in record.stages["evaluate/validation"]["made"]["metric_items"]]
    items = tables.read(paths, records.METRIC_ITEMS)
    ours = items.filter(pc.equal(items["model_id"], policy))
    return Past(record.round, record.accepts(POLICY), ours, record.alarms)
