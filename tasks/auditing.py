"""What an audit leaves with Prefect: its mismatches as a table on the flow run's page, and an event that automations can act on.

    roundhouse.audit.passed    everything is as it was
    roundhouse.audit.failed    something is not, or could not be looked at

Resource and related as in tasks/outcome.py. Payload: campaign, summary, how many mismatches, the first of them as lines.
"""

from __future__ import annotations

import uuid
from typing import Any

from prefect.artifacts import create_table_artifact

from lib.audit.report import Report
from tasks.announce import artifact_key
from tasks.outcome import emit

FIRST = 3
"""Mismatches that an event and a flow run's message name."""


def tell_audit(report: Report) -> None:
    """Leave both; outside a flow run nobody is told."""
    how = "passed" if report.passed else "failed"
    facts: dict[str, Any] = {"summary": report.summary(), "mismatches": len(report.mismatches), "first": first_lines(report)}
    if not emit(f"roundhouse.audit.{how}", report.campaign, {"campaign": report.campaign, **facts}, str(uuid.uuid4())):
        return
    rows = [{"thing": m.thing, "expected": m.expected, "found": m.found, "remedy": m.remedy} for m in report.mismatches]
    rows += [{"thing": line, "expected": "", "found": "not checked", "remedy": ""} for line in report.unchecked]
    shown = [{name: _plain(value) for name, value in row.items()} for row in rows] or [{"thing": "nothing", "found": "as it was"}]
    key = artifact_key(report.campaign, 0, "audit").replace("-r0-", "-")
    create_table_artifact(key=key, table=shown, description=f"audit of {report.campaign}: {how}; {report.summary()}")


def first_lines(report: Report) -> list[str]:
    """The first things to be said of an audit that failed, a line each."""
    return [_plain(line) for line in [*(m.line for m in report.mismatches), *report.unchecked][:FIRST]]


def _plain(text: str) -> str:
    """Without what would be read as markup, or would move a terminal's cursor: names of files are anybody's."""
    return "".join(c if c.isprintable() and c not in "<>|`" else "?" for c in text)
