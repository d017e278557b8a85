"""What the commands that only read print: status, recipes, lineage, query, and the figures after a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from flows.terminal import console, print_json, show
from lib import campaign as campaigns
from lib import comparison as compared
from lib import home as homes
from lib.campaign import CampaignFolder
from lib.errors import RoundhouseError, UserError
from lib.home import Home
from lib.round_record import RoundRecord


def status(name: str | None, as_json: bool) -> None:
    """All campaigns, or the rounds of one."""
    home = homes.current()
    if name is not None:
        folder = CampaignFolder(home, name)
        folder.load()
        if as_json:
            print_json(_round_rows(folder.rounds()))
        else:
            campaign(folder)
        return
    show([_campaign_row(CampaignFolder(home, found)) for found in campaigns.names(home)], f"campaigns in {home.campaigns}", as_json)


def campaign(folder: CampaignFolder) -> None:
    """A campaign's rounds, the gate's words, and its test figures if it is complete."""
    show(_round_rows(folder.rounds()), f"{folder.name}: validation", as_json=False)
    for record in folder.rounds():
        if record.decision and record.round:
            console.print(f"round {record.round}: {record.decision['sentence']}", markup=False, soft_wrap=True)
    if folder.test():
        show(_standing_rows(compared.standings(folder.home, folder.name)), f"{folder.name}: test, read once", as_json=False)


def comparison(home: Home, names: list[str], as_json: bool) -> None:
    """The test figures of several campaigns, and the first one's paired differences."""
    standings = [standing for name in names for standing in compared.standings(home, name)]
    differences = [
        {
            "difference": found.what,
            "metric": spoken(found.metric),
            "value": f"{found.difference:+.3f}",
            "95 % from": f"{found.low:+.3f}",
            "to": f"{found.high:+.3f}",
            "problems": found.n,
        }
        for found in compared.differences(home, names)
    ]
    if as_json:
        print_json({"test": _standing_rows(standings), "differences": differences})
        return
    show(_standing_rows(standings), "test split, read once, after the last round (± one standard error)", as_json)
    show(differences, "the last accepted models on the same problems", as_json)


def recipes(as_json: bool) -> None:
    """Name and first sentence of every recipe."""
    from lib import recipe

    rows = []
    for name in recipe.names():
        found, text = recipe.load(name)
        stages = " → ".join(stage.label for _, stage in found.stages())
        rows.append({"recipe": name, "what it is": " ".join(text.split("\n\n")[0].split()), "stages": stages})
    show(rows, "recipes in lib/recipes", as_json)


def lineage(kind: str, found: str, as_json: bool) -> None:
    """A walk both ways from one model, example, completion or problem."""
    from lib import lineage as walks
    from lib.lineage_view import render

    walk = walks.lineage(homes.current(), kind, found)
    if as_json:
        print_json(walk.to_dict())
    else:
        console.print(render(walk))


def query(sql: str | None, limit: int | None, as_json: bool) -> None:
    """Rows of a query, or the named queries and the views."""
    from lib.ledger import NAMED, Ledger

    with Ledger(homes.current()) as ledger:
        if sql is None:
            queries = [{"query": name, "question": question} for name, (question, _) in NAMED.items()]
            views = [{"view": view, "columns": ", ".join(names)} for view, names in ledger.tables().items()]
            if as_json:
                print_json({"queries": queries, "views": views})
            else:
                show(queries, "named queries", as_json)
                show(views, "views", as_json)
            return
        columns, rows = ledger.query(NAMED[sql][1] if sql in NAMED else sql, limit=limit)
    show([dict(zip(columns, row, strict=True)) for row in rows], sql if sql in NAMED else "query", as_json)


def publish() -> None:
    """Empty the outbox. Raises RoundhouseError if MLflow took not everything."""
    from lib.publisher import publish as take

    home = homes.current()
    published = take(home.outbox, home.mlflow_uri)
    if published.failed:
        raise RoundhouseError(f"{published.failed} events still wait: {published.reason}")
    console.print(f"{published.count} events published to {home.mlflow_uri}", markup=False, soft_wrap=True)


def spoken(metric: str) -> str:
    """`pass_at_1` as people write it."""
    return metric.replace("_at_", "@").removesuffix("_accuracy")


def _campaign_row(folder: CampaignFolder) -> dict[str, Any]:
    try:
        found = folder.load()
    except UserError as error:
        return {"campaign": folder.name, "recipe": str(error), "rounds": "", "state": "unreadable", "now": ""}
    finished = [record for record in folder.finished() if record.round > 0]
    holder = folder.holder()
    now = folder.progress() if holder else None
    done = max((record.round for record in finished), default=0)
    complete = done >= found.rounds and bool(folder.test())
    return {
        "campaign": folder.name,
        "recipe": found.recipe_name,
        "rounds": f"{done} of {found.rounds}",
        "state": f"running (process {holder['pid']})" if holder else "complete" if complete else "stopped",
        "now": f"round {now['round']} {now['stage']} {now['share']:.0%}" if now else "",
    }


def _measured(figures: Iterable[Collection[str]]) -> list[str]:
    """The metrics that tables show, those that anything has; the others are in the ledger."""
    had = {name for names in figures for name in names}
    return [metric for metric in compared.METRICS if metric in had]


def _round_rows(records: list[RoundRecord]) -> list[dict[str, Any]]:
    figures = [_validation(record) for record in records]
    metrics = _measured(figures)
    return [_round_row(record, {metric: values.get(metric) for metric in metrics}) for record, values in zip(records, figures, strict=True)]


def _validation(record: RoundRecord) -> dict[str, float]:
    return {row["metric"]: row["value"] for row in record.metrics if row["split"] == "validation" and row["slice"] == "all"}


def _round_row(record: RoundRecord, figures: Mapping[str, float | None]) -> dict[str, Any]:
    made = {**record.start, **record.made}.get("policy", "")
    return {
        "round": f"{record.round}.{record.attempt}" if record.attempt > 1 else str(record.round),
        "state": record.state,
        "model": made[:12],
        **{spoken(metric): value for metric, value in figures.items()},
        "reused": f"{sum(job['reused'] for s in record.stages.values() for job in s['jobs'])} of {_jobs(record)}",
        "seconds": round(record.seconds, 1),
    }


def _jobs(record: RoundRecord) -> int:
    return sum(len(stage["jobs"]) for stage in record.stages.values())


def _standing_rows(standings: list[compared.Standing]) -> list[dict[str, Any]]:
    metrics = _measured(standing.metrics for standing in standings)
    return [
        {
            "campaign": standing.campaign,
            "model": f"round {standing.round}" if standing.round else "base",
            "gate": standing.state,
            **{spoken(metric): _figure(standing.metrics.get(metric)) for metric in metrics},
        }
        for standing in standings
    ]


def _figure(found: tuple[float, float | None] | None) -> str:
    if found is None:
        return ""
    value, stderr = found
    return f"{value:.3f}" if stderr is None else f"{value:.3f} ± {stderr:.3f}"
