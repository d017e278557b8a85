"""`roundhouse schedule`: a campaign's next round by the clock, or its audit, as a deployment `next-round/CAMPAIGN` or `audit/CAMPAIGN`.

A deployment's limit counts its own runs only, so each campaign gets its own: at most one runs, and a beat that comes
meanwhile is skipped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import server, terminal
from flows.up_services import POOL, ROOT
from lib import home as homes
from lib.campaign import CampaignFolder
from lib.environment import quiet_environment
from lib.errors import UserError
from lib.home import Home

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

ROUND, AUDIT = "next-round", "audit"
"""The flows that are scheduled."""

SLUG = "roundhouse"
NEXT = 3
"""How many of the next times are shown."""

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def schedule(name: str | None, cron: str | None, every: str | None, *, off: bool, audit: bool, as_json: bool) -> None:
    """Put a campaign's next round or its audit on a schedule, take it off, or show what is scheduled."""
    asked = [option for option, given in (("--cron", cron), ("--every", every), ("--off", off)) if given]
    if len(asked) > 1:
        raise UserError(f"{' and '.join(asked)} exclude each other; give one of them")
    if asked and name is None:
        raise UserError(f"{asked[0]} needs a campaign: roundhouse schedule CAMPAIGN {asked[0]} …")
    if audit and not asked:
        raise UserError("--audit says what is scheduled; say when with --cron or --every, or --off")
    home = homes.current()
    if name is not None:
        CampaignFolder(home, name).load()
    quiet_environment()
    seconds = seconds_of(every) if every else None
    with _connected(home) as client:
        if name is not None and asked:
            _deploy(client, home, name, AUDIT if audit else ROUND, None if off else _beat(cron, seconds))
        _show(client, name, as_json)


@contextmanager
def _connected(home: Home) -> Iterator[SyncPrefectClient]:
    """A client of the server of `roundhouse up`, or of that which PREFECT_API_URL names; a private one would not stay."""
    given = os.environ.get("PREFECT_API_URL")
    url = given or (server.running(home) if server.is_up(home) else None)
    if url is None or not server.answers(f"{url}/health"):
        where = f"at {given}" if given else f"for {home.root}"
        raise UserError(f"no Prefect server answers {where}; start one that stays: roundhouse up")
    server.settle(home)
    os.environ["PREFECT_API_URL"] = url
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        yield client


def seconds_of(every: str) -> int:
    """6h in seconds. Raises UserError for what is no interval."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", every.strip())
    if not found or int(found[1]) == 0:
        raise UserError(f"--every '{every}' cannot be read; say how many seconds, minutes, hours, days or weeks: 90s, 30m, 6h, 1d, 1w")
    return int(found[1]) * SECONDS[found[2]]


def _beat(cron: str | None, seconds: int | None) -> CronSchedule | IntervalSchedule:
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
    from pydantic import ValidationError

    if seconds is not None:
        return IntervalSchedule(interval=timedelta(seconds=seconds), timezone=local_zone())
    try:
        return CronSchedule(cron=str(cron), timezone=local_zone())
    except ValidationError:
        raise UserError(f"--cron '{cron}' is no cron line of five fields; '0 1 * * *' is every night at one") from None


def local_zone() -> str:
    """The name of this machine's time zone; UTC where the machine does not say."""
    from zoneinfo import available_timezones

    link = Path("/etc/localtime").resolve().as_posix()
    for name in (os.environ.get("TZ", "").lstrip(":"), link.partition("zoneinfo/")[2]):
        if name in available_timezones():
            return name
    return "UTC"


def _deploy(client: SyncPrefectClient, home: Home, name: str, what: str, beat: CronSchedule | IntervalSchedule | None) -> None:
    """Make the campaign's deployment of a flow, or change its schedule; without a beat it stays, to be run by hand."""
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
    from prefect.exceptions import ObjectNotFound
    from prefect.utilities.callables import parameter_schema

    from flows.auditing import audit
    from flows.next_round import next_round

    flow, description = {ROUND: (next_round, f"The next round of {name}."), AUDIT: (audit, f"The audit of {name}.")}[what]
    if beat is None and not _is_deployed(client, f"{what}/{name}"):
        return
    try:
        client.create_deployment(
            client.create_flow(flow),
            name,
            entrypoint=f"{flow.fn.__module__}.{flow.fn.__name__}",
            description=description,
            parameters={"campaign": name},
            parameter_openapi_schema=parameter_schema(flow).model_dump(),
            schedules=[DeploymentScheduleCreate(schedule=beat, active=True, slug=SLUG)] if beat else [],
            concurrency_limit=1,
            concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
            work_pool_name=POOL,
            job_variables={"env": {"ROUNDHOUSE_HOME": str(home.root)}},
            pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}],
            paused=False,
        )
    except ObjectNotFound:
        raise UserError(f"the Prefect server has no work pool '{POOL}'; make it: prefect work-pool create {POOL} --type process") from None


def _is_deployed(client: SyncPrefectClient, name: str) -> bool:
    from prefect.exceptions import ObjectNotFound

    try:
        client.read_deployment_by_name(name)
    except ObjectNotFound:
        return False
    return True


def _show(client: SyncPrefectClient, name: str | None, as_json: bool) -> None:
    """A row for every active schedule of the campaign, or of all, with its next times."""
    rows = [row for deployment in _deployments(client) for row in _rows(deployment) if name in (None, row["campaign"])]
    if as_json:
        terminal.print_json(rows)
        return
    if not rows:
        terminal.console.print("nothing is scheduled" if name is None else f"{name} is not scheduled", markup=False)
    for row in rows:
        times = "\n        ".join(row["next"])
        terminal.console.print(f"{row['campaign']}: {row['flow']}, {row['when']}\n  next: {times}", markup=False, soft_wrap=True)


def _deployments(client: SyncPrefectClient) -> list[DeploymentResponse]:
    """All of them; the server gives 200 at a time."""
    found: list[DeploymentResponse] = []
    while page := client.read_deployments(limit=200, offset=len(found)):
        found += page
    return found


def _rows(deployment: DeploymentResponse) -> list[dict[str, Any]]:
    active = [] if deployment.paused else [entry.schedule for entry in deployment.schedules if entry.active]
    return [
        {
            "campaign": deployment.parameters.get("campaign", ""),
            "flow": str(deployment.entrypoint or deployment.name).rpartition(".")[2].replace("_", "-"),
            "deployment": deployment.name,
            "when": _words(schedule),
            "next": next_times(schedule.model_dump(mode="json")),
        }
        for schedule in active
    ]


def _words(schedule: Any) -> str:
    if cron := getattr(schedule, "cron", None):
        return f"{cron} ({schedule.timezone or 'UTC'})"
    interval = getattr(schedule, "interval", None)
    return f"every {_spoken(round(interval.total_seconds()))}" if interval is not None else str(getattr(schedule, "rrule", ""))


def _spoken(seconds: int) -> str:
    """As `seconds_of` reads it."""
    unit = max((unit for unit in SECONDS if seconds % SECONDS[unit] == 0), key=SECONDS.__getitem__, default="s")
    return f"{seconds // SECONDS[unit]}{unit}"


def next_times(schedule: dict[str, Any]) -> list[str]:
    """The next times of a schedule, by the very rule that the server schedules by, in this machine's time."""
    import asyncio

    from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

    kind = next(kind for key, kind in (("cron", CronSchedule), ("interval", IntervalSchedule), ("rrule", RRuleSchedule)) if key in schedule)
    dates = asyncio.run(kind.model_validate(schedule).get_dates(NEXT, datetime.now().astimezone()))
    return [date.astimezone().strftime("%a %Y-%m-%d %H:%M:%S %Z") for date in dates]
