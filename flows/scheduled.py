"""The next scheduled runs of a home's deployments, asked of its Prefect server; nothing where none answers.

Asked over Prefect's REST API with the standard library: importing Prefect's client takes longer than all the rest of status.
"""

from __future__ import annotations

import json
import os
import urllib.request
from datetime import datetime
from typing import Any

from flows import server
from lib.home import Home

TIMEOUT_SECONDS = 2.0
MOST = 200
"""Runs that are asked for, the soonest first; a server creates some of every schedule ahead of time."""
SHOWN = 2
"""Runs of each deployment that are of interest."""


def upcoming(home: Home) -> list[dict[str, Any]]:
    """Deployment, its campaign where it says one, and when, the soonest first."""
    url = os.environ.get("PREFECT_API_URL") or server.running(home)
    if not url:
        return []
    wanted = {"state": {"type": {"any_": ["SCHEDULED"]}}, "deployment_id": {"is_null_": False}}
    try:
        runs = _asked(url, "flow_runs", {"flow_runs": wanted, "sort": "EXPECTED_START_TIME_ASC", "limit": MOST})
        ids = sorted({run["deployment_id"] for run in runs})
        names = {found["id"]: found["name"] for found in _asked(url, "deployments", {"deployments": {"id": {"any_": ids}}})} if ids else {}
    except (OSError, ValueError):  # gone, or no Prefect server after all
        return []
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        if run["deployment_id"] in names and run.get("expected_start_time"):
            when = datetime.fromisoformat(run["expected_start_time"]).timestamp()
            row = {"deployment": names[run["deployment_id"]], "campaign": run.get("parameters", {}).get("campaign"), "at": when}
            found.setdefault(run["deployment_id"], []).append({**row, "state": run["state_name"]})
    return sorted((row for rows in found.values() for row in rows[:SHOWN]), key=lambda row: float(row["at"]))


def _asked(url: str, what: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"{url}/{what}/filter", data=json.dumps(filters).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as reply:
        found: list[dict[str, Any]] = json.load(reply)
    return found
