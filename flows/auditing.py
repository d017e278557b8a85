"""`roundhouse audit`, and the same as a flow, so that it can be scheduled."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Failed

from lib import home as homes
from lib.audit.whole import audit as audited
from lib.environment import quiet_environment
from tasks.auditing import first_lines, tell_audit


@flow(name="audit", flow_run_name="{campaign}: audit")
def audit(campaign: str, offline: bool = False) -> dict[str, Any] | State[Any]:
    """Recompute all that a campaign's artifacts, records and MLflow tell, and return what was found.

    The run is Failed, with the first mismatches in its message, unless everything is as it was.
    """
    quiet_environment()
    report = audited(homes.current(), campaign, offline=offline)
    tell_audit(report)
    if report.passed:
        return report.to_dict()
    more = len(report.mismatches) + len(report.unchecked) - len(lines := first_lines(report))
    return Failed(message="; ".join([f"the audit of {campaign} failed", *lines, *([f"and {more} more"] if more else [])]))
