"""What the commands that only read print: lineage, query, and the figures after a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from flows.standing import figures
from flows.terminal import console, figure, print_json, show
from flows.wording import spoken
from lib import comparison as compared
from lib import home as homes
from lib import stage_paths
from lib.campaign import CampaignFolder
from lib.round_record import RoundRecord


def campaign(folder: CampaignFolder) -> None:
    """A campaign as `status NAME` shows it."""
    from flows.status import status

    status(folder.name, watch=False, as_json=False)


def lineage(kind: str, found: str, as_json: bool) -> None:
    """A walk both ways from one model, example, completion or problem."""
    from lib import lineage as walks
    from lib.lineage_view import render

    walk = walks.lineage(homes.to_read(), kind, found)
    if as_json:
        print_json(walk.to_dict())
    else:
        console.print(render(walk))


def query(sql: str | None, limit: int | None, as_json: bool) -> None:
    """Rows of a query, or the named queries and the views."""
    from lib.ledger import NAMED, Ledger

    if sql is None:
        from flows import tables

        tables.tables(as_json)
        return
    with Ledger(homes.to_read()) as ledger:
        columns, rows = ledger.query(NAMED[sql][1] if sql in NAMED else sql, limit=limit)
    show([dict(zip(columns, row, strict=True)) for row in rows], sql if sql in NAMED else "query", as_json)


def round_facts(record: RoundRecord) -> dict[str, Any]:
    """One attempt at a round, in numbers."""
    own = [stage for path, stage in record.stages.items() if path != stage_paths.CLOSING]  # each closing says anew what it reused
    jobs = [job for stage in own for job in stage["jobs"]]
    return {
        "round": record.round,
        "attempt": record.attempt,
        "state": record.state,
        "model": {**record.start, **record.made}.get("policy", ""),
        "figures": figures(record, "validation"),
        "decision": (record.decision or {}).get("sentence"),
        "jobs": len(jobs),
        "reused": sum(job["reused"] for job in jobs),
        "seconds": record.seconds,
        "cost": {path: stage.get("cost", {}) for path, stage in record.stages.items()},
    }


def round_rows(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rounds for a table."""
    metrics = _measured(row["figures"] for row in history)
    return [
        {
            "round": f"{row['round']}.{row['attempt']}" if row["attempt"] > 1 else str(row["round"]),
            "state": row["state"],
            "model": row["model"][:8],
            **{spoken(metric): _brief(row["figures"].get(metric), metric == metrics[0]) for metric in metrics},
            "reused": f"{row['reused']} of {row['jobs']}",
            "seconds": round(row["seconds"]),
        }
        for row in history
    ]


def _brief(found: dict[str, Any] | None, is_first: bool) -> str:
    """A figure where there is no room for the error of each."""
    return figure(found if found is None or is_first else {"value": found["value"]})


def standing_facts(standings: list[compared.Standing]) -> list[dict[str, Any]]:
    """Test figures, in numbers."""
    return [
        {
            "campaign": standing.campaign,
            "recipe": standing.recipe,
            "round": standing.round,
            "state": standing.state,
            "figures": {name: {"value": value, "stderr": stderr} for name, (value, stderr) in standing.metrics.items()},
        }
        for standing in standings
    ]


def standing_rows(standings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Test figures for a table."""
    metrics = _measured(standing["figures"] for standing in standings)
    return [
        {
            "model": f"round {standing['round']}" if standing["round"] else "base",
            "gate": standing["state"],
            **{spoken(metric): figure(standing["figures"].get(metric)) for metric in metrics},
        }
        for standing in standings
    ]


def _measured(figures: Iterable[Collection[str]]) -> list[str]:
    """The metrics that tables show, those that anything has; the others are in the ledger."""
    had = {name for names in figures for name in names}
    return [metric for metric in compared.METRICS if metric in had]
