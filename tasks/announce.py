"""What a campaign tells the outside: lineage events for MLflow, progress and figures for the Prefect UI."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from lib import events
from lib.campaign_settings import Campaign
from lib.home import Home
from lib.job import Label
from lib.round_events import campaign_event, evaluate_events, round_event
from lib.round_record import RoundRecord
from tasks.outcome import tell_outcome
from tasks.round_page import show_round
from tasks.workshop import Workshop

_progress: ContextVar[dict[str, UUID] | None] = ContextVar("_progress", default=None)


def show_progress(label: Label, share: float) -> None:
    """Set the stage's progress artifact on the flow run's page, in per cent; outside a flow run there is no page."""
    if FlowRunContext.get() is None:
        return
    shown = _progress.get()
    if shown is None:
        shown = {}
        _progress.set(shown)
    stage = f"{label.campaign}-r{label.round}-{label.stage_path}"
    percent = 100.0 * share
    if stage in shown:
        update_progress_artifact(shown[stage], progress=percent)
        return
    key = artifact_key(label.campaign, label.round, label.phase, label.stage)
    made = create_progress_artifact(progress=percent, key=key, description=stage)
    shown[stage] = made if isinstance(made, UUID) else UUID(str(made))


def artifact_key(campaign: str, number: int, *words: str) -> str:
    """A key as Prefect wants it: small letters, digits and dashes."""
    return "".join(c if c.isalnum() else "-" for c in "-".join((campaign, f"r{number}", *words)).lower())


def announce_campaign(campaign: Campaign, home: Home) -> None:
    """Queue the campaign's event; the same campaign said again is the same event."""
    events.put(home.outbox, replace(campaign_event(campaign), flow_run=str(flow_run.id or "")))


def announce_round(record: RoundRecord, campaign: Campaign, shop: Workshop, *, later_stand: bool = False) -> str:
    """Queue a finished round's events, show it on the flow run's page, emit how it was decided; returns the round's event id.

    `later_stand`: it is a rerun that came to the same models, so that the rounds after it stand. One that
    came to what it supersedes is nothing new, and round 0 is the campaign's base.
    """
    event_id = events.put(shop.home.outbox, replace(round_event(record, campaign, shop.store), later_stand=later_stand))
    announce_metrics(record.metrics, record, shop)
    show_round(record, event_id, shop.home, artifact_key(record.campaign, record.round, "round"))
    if record.round and event_id != record.supersedes:
        tell_outcome(record, event_id, shop.home)
    return event_id


def announce_metrics(rows: list[dict[str, Any]], record: RoundRecord, shop: Workshop) -> None:
    """Queue the evaluate events of a round's metric rows, one for each model and split."""
    run = str(flow_run.id or record.flow_run)
    for event in evaluate_events(rows, record, shop.store):
        events.put(shop.home.outbox, replace(event, flow_run=run))


def announce_end(campaign: str, rounds: int, reason: str, home: Home) -> None:
    """Queue the event that a campaign stopped."""
    events.put(home.outbox, events.FinalEvent(campaign=campaign, rounds=rounds, reason=reason))
