"""A round's alarms: read from what it left, recorded with its figures. They never stop a round."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from lib.alarms import every
from lib.alarms.looking import look
from lib.interrupts import interrupted_later
from lib.recipe import Recipe
from lib.roles import POLICY
from lib.round_record import RoundRecord
from tasks.workshop import Workshop

log = logging.getLogger(__name__)


def watch(recipe: Recipe, record: RoundRecord, base: RoundRecord, held_out: Iterable[str], shop: Workshop) -> None:
    """Put the readings of every alarm, and their metric rows, into a round's record; `base` is round 0, or the record itself."""
    try:
        with interrupted_later():
            seen = look(record, base, shop.store, held_out, stop_strings=bool(getattr(recipe.engine, "stop", ())))
            record.alarms = recipe.alarms.readings(seen)
    except Exception as error:  # a damaged file, a full disk: whatever it is, the round is whole without its alarms
        log.warning("round %s has no alarms: %s", record.round, " ".join(str(error).split())[:300])
        record.alarms = []
    record.metrics = [row for row in record.metrics if row["split"] != every.SPLIT]
    record.metrics += every.metric_rows(record.alarms, {**record.start, **record.made}[POLICY])
