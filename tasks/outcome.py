"""How a round ended, as a Prefect event that automations can act on. automations/ has one that alerts.

    roundhouse.round.accepted    the round is whole, and its model is the champion
    roundhouse.round.rejected    the round is whole, and the gate kept the model before it
    roundhouse.round.failed      the round raised; a run that was interrupted or killed, or that spent its budget, did not

Resource: roundhouse.campaign.NAME. Related: the flow run, and what Prefect knows of it. Payload: campaign, round, attempt,
seconds; `decision` and `figures` where it was decided, `error` (the class) and `reason` (one line) where it failed.

One outcome is one event, however often it is told: its id comes from what was decided, and Prefect takes an id once. A run
that is tried again and fails again has failed again.
"""

from __future__ import annotations

import math
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.events.worker import EventsWorker

from lib import ending
from lib.campaign import CampaignFolder
from lib.errors import BudgetSpent
from lib.home import Home
from lib.round_record import RoundRecord

FLUSH_SECONDS = 10.0
"""How long a round waits for the server to take its event; the process tries once more when it ends."""


def tell_outcome(record: RoundRecord, event_id: str, home: Home) -> None:
    """Emit how a round was decided; `event_id` is that of its lineage event. Outside a flow run nobody is told."""
    facts = {"decision": str((record.decision or {}).get("sentence", "")), "figures": figures(record), "seconds": round(record.seconds, 3)}
    _emit(record.state, record.campaign, record.round, record.attempt, facts, f"{_begun(home, record.campaign)}:{event_id}")


def figures(record: RoundRecord) -> dict[str, float]:
    """`split/metric` → value over all problems, of the first evaluator that has it; one that is no number is left out."""
    rows = [row for row in record.metrics if row["slice"] == "all" and row["value"] is not None and math.isfinite(row["value"])]
    return {f"{row['split']}/{row['metric']}": float(row["value"]) for row in reversed(rows)}


@contextmanager
def failure_told(campaign: str, number: int, attempt: int) -> Iterator[None]:
    """Emit that a round failed if the block raises."""
    started = time.monotonic()
    try:
        yield
    except BudgetSpent:
        raise
    except Exception as error:  # whatever it is, it goes on from here
        facts = {"error": type(error).__name__, "reason": ending.one_line(error)[:1000], "seconds": round(time.monotonic() - started, 3)}
        _emit("failed", campaign, number, attempt, facts, str(uuid.uuid4()))
        raise


def _emit(how: str, campaign: str, number: int, attempt: int, facts: dict[str, Any], identity: str) -> None:
    emit(f"roundhouse.round.{how}", campaign, {"campaign": campaign, "round": number, "attempt": attempt, **facts}, identity)


def emit(event: str, campaign: str, payload: dict[str, Any], identity: str) -> bool:
    """Emit an event of a campaign, once for an identity; False outside a flow run, where nobody is told."""
    if (context := FlowRunContext.get()) is None or context.flow_run is None:
        return False
    run = context.flow_run
    related = {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.role": "flow-run", "prefect.resource.name": run.name}
    emit_event(
        event,
        resource={"prefect.resource.id": f"roundhouse.campaign.{campaign}", "prefect.resource.name": campaign},
        related=[related],
        payload=payload,
        id=uuid.uuid5(uuid.NAMESPACE_OID, identity),
    )
    # Prefect's own wait has no end where its connection broke; what waits then is tried once more at the process's end
    flushing = threading.Thread(target=EventsWorker.instance().wait_until_empty, name="roundhouse-events", daemon=True)
    flushing.start()
    flushing.join(FLUSH_SECONDS)
    return True


def _begun(home: Home, campaign: str) -> str:
    """Tells a campaign from others that came to the very same, elsewhere or here before it was deleted."""
    path = CampaignFolder(home, campaign).path / "campaign.json"
    return f"{platform.node()}:{path}:{path.stat().st_mtime_ns}"
