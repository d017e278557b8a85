"""What a campaign tells the outside: lineage events for MLflow, progress and figures for the Prefect UI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from lib import events, seeds, tables
from lib.campaign_settings import Campaign
from lib.home import Home
from lib.job import Label
from lib.records import TABLES
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
    events.put(
        home.outbox,
        events.CampaignEvent(
            campaign=campaign.name,
            recipe=campaign.recipe_name,
            recipe_digest=seeds.digest(campaign.recipe),
            seed=campaign.seed,
            models=tuple(_model(role, digest) for role, digest in sorted(campaign.base.items())),
            settings={"rounds": str(campaign.rounds), "problems": seeds.canonical(campaign.problems.counts)},
            flow_run=str(flow_run.id or ""),
        ),
    )


def announce_round(record: RoundRecord, campaign: Campaign, shop: Workshop, *, later_stand: bool = False) -> str:
    """Queue a finished round's events, show it on the flow run's page, emit how it was decided; returns the round's event id.

    `later_stand`: it is a rerun that came to the same models, so that the rounds after it stand. One that
    came to what it supersedes is nothing new, and round 0 is the campaign's base.
    """
    event_id = events.put(shop.home.outbox, replace(round_event(record, campaign, shop), later_stand=later_stand))
    announce_metrics(record.metrics, record, shop)
    show_round(record, event_id, shop.home, artifact_key(record.campaign, record.round, "round"))
    if record.round and event_id != record.supersedes:
        tell_outcome(record, event_id, shop.home)
    return event_id


def round_event(record: RoundRecord, campaign: Campaign, shop: Workshop) -> events.RoundEvent:
    """What lineage says of a finished round."""
    return events.RoundEvent(
        campaign=record.campaign,
        round=record.round,
        attempt=record.attempt,
        datasets=tuple(_datasets(record, shop)),
        models_in=tuple(_model(role, digest) for role, digest in sorted(record.start.items())),
        models_out=tuple(_model(role, digest) for role, digest in sorted(record.made.items())),
        params={
            "recipe": campaign.recipe_name,
            "seed": str(campaign.seed),
            **{f"set.{path}": value for path, value in record.overrides.items()},
        },
        metrics=_stage_metrics(record, shop),
        accepted=record.state == "accepted",
        reason=str((record.decision or {}).get("sentence", "")),
        flow_run=record.flow_run,
        supersedes=record.supersedes or None,
        revision=record.revision,
        otherwise={
            role: str(decision["sentence"])
            for role, decision in sorted(record.decisions.items())
            if decision["accepted"] != (record.state == "accepted")
        },
    )


def announce_metrics(rows: list[dict[str, Any]], record: RoundRecord, shop: Workshop) -> None:
    """Queue the evaluate events of a round's metric rows, one for each model and split."""
    place: dict[str, Any] = {"campaign": record.campaign, "round": record.round, "attempt": record.attempt, "revision": record.revision}
    roles = {model: role for role, model in reversed({**record.start, **record.made}.items())}
    for model, split in dict.fromkeys((row["model_id"], row["split"]) for row in rows):
        measures = tuple(
            events.Measure(row["metric"], row["slice"], row["value"], row["stderr"], row["n"])
            for row in rows
            if (row["model_id"], row["split"]) == (model, split)
        )
        run = str(flow_run.id or record.flow_run)
        datasets = tuple(_measured_on(f"evaluate/{split}", record, shop))
        ref = _model(roles.get(model, "policy"), model)
        told = events.EvaluateEvent(**place, model=ref, split=split, measures=measures, flow_run=run, datasets=datasets)
        events.put(shop.home.outbox, told)


def announce_end(campaign: str, rounds: int, reason: str, home: Home) -> None:
    """Queue the event that a campaign stopped."""
    events.put(home.outbox, events.FinalEvent(campaign=campaign, rounds=rounds, reason=reason))


def _model(role: str, digest: str) -> events.ModelRef:
    return events.ModelRef(role, digest, f"store/artifacts/{digest[:2]}/{digest}")


def _datasets(record: RoundRecord, shop: Workshop) -> list[events.DatasetRef]:
    """Every table artifact that the round's own stages read, made or learned from, once for each stage."""
    found: dict[tuple[str, str, str], events.DatasetRef] = {}
    for path, stage in record.stages.items():
        if stage["verb"] == "evaluate":
            continue
        problems = stage["read"].get("problems", []) if stage["verb"] == "sample" else []
        given = [(table, ref) for table, refs in {**stage["made"], "problems": problems}.items() if table in TABLES for ref in refs]
        given += [(_kind_of(ref, shop), ref) for refs in stage["learned"].values() for ref in refs]
        for table, reference in given:
            found[table, reference, path] = _dataset(table, reference, path, shop)
    return list(found.values())


def _measured_on(path: str, record: RoundRecord, shop: Workshop) -> Iterator[events.DatasetRef]:
    """A split's problems, then every table that measuring a model on it made."""
    stage = record.stages[path]
    for reference in stage["read"].get("problems", []):
        yield _dataset("problems", reference, path, shop)
    for digest in dict.fromkeys(job["digest"] for job in stage["jobs"]):
        for table in shop.tables_made(digest):
            yield _dataset(table, digest, path, shop)


def _dataset(table: str, reference: str, path: str, shop: Workshop) -> events.DatasetRef:
    return events.DatasetRef(
        name=table,
        context=path,
        digest=shop.store.content(reference),
        uri=f"store/artifacts/{reference[:2]}/{reference}",
        rows=tables.rows_in(shop.store.folder(reference)).get(table, 0),
        schema=TABLES[table].id,
    )


def _kind_of(reference: str, shop: Workshop) -> str:
    """The examples table that an artifact holds."""
    return next(table for table in shop.tables_made(reference) if table.startswith("examples_"))


def _stage_metrics(record: RoundRecord, shop: Workshop) -> dict[str, float]:
    """`stage/name` → figure, summed over a stage's shards, from what was measured while they were made; and its shares.

    Counts by kind (verdicts by outcome, completions dropped by reason) are `stage/name/kind`.
    """
    found: dict[str, float] = {}
    for path, stage in record.stages.items():
        if stage["verb"] == "evaluate":
            continue
        for job in stage["jobs"]:
            for name, value in _counted(shop.store.stats(job["key"], job["version"])):
                found[f"{path}/{name}"] = found.get(f"{path}/{name}", 0.0) + value
        found |= {f"{path}/{name}": value for name, value in stage.get("figures", {}).items()}
    return found


def _counted(stats: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The figures among a job's stats; of counts by kind the largest, and the sum of the others."""
    for name, value in stats.items():
        if name in UNTOLD or isinstance(value, bool):
            continue
        if isinstance(value, int | float):
            yield name, float(value)
        elif isinstance(value, dict):
            kinds = sorted(((k, n) for k, n in value.items() if isinstance(n, int | float)), key=lambda kind: (-kind[1], kind[0]))
            yield from ((f"{name}/{kind}", float(n)) for kind, n in kinds[:MOST_KINDS])
            if rest := kinds[MOST_KINDS:]:
                yield f"{name}/others", float(sum(n for _, n in rest))


MOST_KINDS = 50
"""Reasons of one job that are told apart: a filter of the user's own may give each row another."""

UNTOLD = {"micro_batch", "max_rss_bytes", "cuda_max_bytes", "cpu_seconds", "seconds", "cost"}
"""Stats that differ from run to run: left out of events, so that a replay says the same words."""
