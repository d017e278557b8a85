"""What a finished round leaves on its flow run's page in Prefect: its figures as a table, and a page that links to MLflow."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext

from lib import tracking_names
from lib.alarms import every
from lib.home import Home
from lib.round_record import RoundRecord

COLUMNS = ("split", "evaluator", "metric", "slice", "value", "stderr")

LOOKUP_SECONDS = 3.0


def show_round(record: RoundRecord, event_id: str, home: Home, key: str) -> None:
    """Create both artifacts; `event_id` is that of the round's lineage event, `key` begins their names."""
    if FlowRunContext.get() is None:
        return  # nobody's page
    sentence = str((record.decision or {}).get("sentence", ""))
    table = [{name: row[name] for name in COLUMNS} for row in record.metrics]
    create_table_artifact(table=table, key=f"{key}-metrics", description=f"{record.campaign} round {record.round}: {sentence}")
    create_markdown_artifact(page(record, event_id, home), key=f"{key}-page", description=f"{record.campaign} round {record.round}")


def page(record: RoundRecord, event_id: str, home: Home) -> str:
    """The decision, the figures over all problems, the models, and where the round is in MLflow."""
    attempt = f", attempt {record.attempt}" if record.attempt > 1 else ""
    lines = [f"# {record.campaign}: round {record.round}{attempt}", "", str((record.decision or {}).get("sentence", "")), ""]
    lines += ["| split | evaluator | metric | value | stderr |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['split']} | {row['evaluator']} | {row['metric']} | {number(row['value'])} | {number(row['stderr'])} |"
        for row in record.metrics
        if row["slice"] == "all" and row["split"] != every.SPLIT
    ]
    lines += ["", *alarms(record)]
    lines += ["", in_mlflow(record, event_id, home), ""]
    lines += [f"Made `{role}` `{digest[:12]}`: `roundhouse lineage model {digest[:12]}`" for role, digest in sorted(record.made.items())]
    return "\n".join(lines) + "\n"


def alarms(record: RoundRecord) -> list[str]:
    """Every alarm with its value, those that ring first and in bold."""
    if not record.alarms:
        return []
    ringing = every.ringing(record.alarms)
    rows = [*ringing, *(reading for reading in record.alarms if reading not in ringing)]
    shown = []
    for row in rows:
        level = f"**{row['level']}**" if row in ringing else row["level"]
        numbers = " | ".join(number(row[name]) for name in ("value", "watch_from", "alarm_from"))
        shown.append(f"| {level} | {row['alarm']} | {numbers} | {row['sentence'].replace('|', '/')} |")
    return ["| level | alarm | value | watch from | alarm from | |", "|---|---|---|---|---|---|", *shown]


def number(value: Any) -> str:
    return "" if value is None else f"{value:.4g}"


def in_mlflow(record: RoundRecord, event_id: str, home: Home) -> str:
    """Where a person finds the round in MLflow: a link, or the command that serves the pages where no server is known.

    Its run may not be there yet, as lineage is published beside the work, so the link asks for the run of this lineage event
    within the campaign's experiment; where the experiment is not there yet either, for the experiment by its name.
    """
    server = pages(home)
    experiment = tracking_names.experiment_name(record.campaign)
    if server is None:
        return f"In MLflow: experiment `{experiment}`, run `round {record.round}`; `mlflow ui --backend-store-uri {home.mlflow_uri}`"
    found = _experiment_id(server, experiment)
    if found is None:
        return f"[The campaign in MLflow]({server}/#/experiments?experimentSearchFilter={quote(experiment, safe='')})"
    asked = f"tags.`{tracking_names.TAG}event` = '{event_id}'"
    layout = "workflowType=machine_learning"  # else the pages open as those of MLflow's tools for agents
    by_name = quote("tags.`mlflow.runName`", safe="")  # ordered by time, a run below another is folded away
    return f"[This round in MLflow]({server}/#/experiments/{found}/runs?searchFilter={quote(asked, safe='')}&orderByKey={by_name}&{layout})"


def pages(home: Home) -> str | None:
    """The address of MLflow's pages: the server that rounds are tracked on, else the one that `roundhouse up` runs."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    if given.startswith(("http://", "https://")):
        return given.rstrip("/")
    return _served(home.up / "state.json")


def _served(state: Path) -> str | None:
    try:
        services = json.loads(state.read_text(encoding="utf-8"))["services"]
    except (OSError, ValueError, KeyError):
        return None
    return next((str(service["address"]) for service in services if service["name"] == "mlflow"), None)


def _experiment_id(server: str, name: str) -> str | None:
    try:
        reply = httpx.get(f"{server}/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": name}, timeout=LOOKUP_SECONDS)
        return str(reply.raise_for_status().json()["experiment"]["experiment_id"])
    except (httpx.HTTPError, ValueError, KeyError):
        return None
