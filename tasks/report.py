"""A campaign's report at the end of a run: written beside its records, queued for MLflow, and told on the flow run's page."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from lib import events
from lib.campaign import CampaignFolder
from lib.files import sha256_of
from lib.interrupts import interrupted_later
from lib.report import page
from tasks.announce import artifact_key
from tasks.round_page import pages

log = logging.getLogger(__name__)


def leave_report(folder: CampaignFolder) -> None:
    """Write the report and tell of it. What is done is done: a report that cannot be made is told of, and fails nothing."""
    try:
        path = page.place(folder)
        with interrupted_later():
            facts = page.write(folder.home, folder.name, path)
        pointer = events.pointer(path, folder.home.root)
        events.put(folder.home.outbox, events.ReportEvent(campaign=folder.name, digest=sha256_of(path), uri=pointer))
        if FlowRunContext.get() is not None:
            key = artifact_key(folder.name, 0, "report").replace("-r0-", "-")
            create_markdown_artifact(told(facts, path, folder), key=key, description=f"{folder.name}: report")
    except Exception as error:  # a damaged table, a full disk, a server that is gone: the rounds are whole all the same
        log.warning(
            "%s has no new report (%s); make it with: roundhouse report %s", folder.name, " ".join(str(error).split())[:300], folder.name
        )


def told(facts: dict[str, Any], path: Path, folder: CampaignFolder) -> str:
    """The report's first lines, and where the whole of it is."""
    lines = [f"# {folder.name}: report", "", *(f"{line}\n" for line in (facts["lead"], *facts["summary"]) if line)]
    server = pages(folder.home)
    lines += [
        f"The page: `{path}`, or `report.html` among the artifacts of the campaign's run in MLflow" + (f" ({server})." if server else ".")
    ]
    return "\n".join(lines) + "\n"
