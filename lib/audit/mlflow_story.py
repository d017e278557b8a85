"""MLflow tells of a campaign what its records tell: a run for every event with its tags, parameters, figures, datasets and
models, a version for every model, and the champion where the records have it.

What still waits in the outbox is no mismatch: it is told as not yet published.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lib import events, outbox
from lib.audit import mlflow_runs, mlflow_told
from lib.audit.mlflow_runs import RESTORE
from lib.audit.mlflow_told import Run, Told
from lib.audit.reach import Reach
from lib.audit.reach import Told as Noted
from lib.audit.report import Report, short
from lib.campaign import models_by_reference
from lib.errors import UserError
from lib.round_events import campaign_event, evaluate_events, round_event
from lib.round_record import read_figures
from lib.tracking import TrackingFailed


@dataclass(frozen=True, slots=True)
class Waiting:
    """The events of a campaign in the outbox."""

    ids: frozenset[str]

    def told(self, event_id: str, what: str, report: Report) -> bool:
        """Whether an event waits, which is then said."""
        if event_id in self.ids:
            report.unpublished.append(f"{what} is not yet published; take it to MLflow with: roundhouse publish")
        return event_id in self.ids


def check(reach: Reach, report: Report) -> None:
    """Compare all of it; an MLflow that cannot be reached leaves it unchecked."""
    home = reach.folder.home
    try:
        waiting = Waiting(frozenset(q.id for q in outbox.pending(home.outbox) if q.event.get("campaign") == reach.folder.name))
    except UserError as error:
        report.unchecked.append(f"MLflow: {error}")
        return
    roles = {role for told in reach.records for role in (*told.record.start, *told.record.made)} | {*reach.campaign.base}
    try:
        told = mlflow_told.read(home.mlflow_uri, reach.folder.name, roles)
        if not told.runs and not told.versions and waiting.ids:
            report.unpublished.append(f"{len(waiting.ids)} events are not yet published; take them to MLflow with: roundhouse publish")
            return
        report.counts["mlflow_runs"] += len(told.runs)
        _check_campaign(reach, told, report)
        known = _check_rounds(reach, told, waiting, report)
        _check_evaluations(reach, told, waiting, report)
        for run in told.runs:
            if run.tags.get("kind") == "round" and run.tags.get("event") not in known:
                report.add("mlflow_story", f"MLflow run '{run.title}'", "a record of that round", "none", "restore the record from a copy")
        if not waiting.ids:
            _check_models(reach, told, report)
    except TrackingFailed as failed:
        report.unchecked.append(f"{failed}; start it, or check the artifacts alone with --offline")


def _check_campaign(reach: Reach, told: Told, report: Report) -> None:
    run = next((run for run in told.runs if run.tags.get("kind") == "campaign"), None)
    if run is None:
        report.add("mlflow_story", "MLflow", f"a run for campaign {reach.folder.name}", "none", RESTORE)
        return
    event = campaign_event(reach.campaign)
    mlflow_runs.compare_tags(run, {"recipe": {event.recipe}, "recipe_digest": {event.recipe_digest}}, report)
    mlflow_runs.compare_params(run, {"recipe": event.recipe, "seed": str(event.seed), **event.settings}, report)
    _check_curves(run, reach, told, report)


def _check_curves(run: Run, reach: Reach, told: Told, report: Report) -> None:
    """Each point of the campaign's curves is a figure of a record of that round, and the last that of the one that stands."""
    allowed: dict[tuple[str, int], set[float]] = {}
    for noted, rows in (*_figures(reach), *_old_closings(reach)):
        for event in _told_of(rows, noted, reach):
            for name, value in mlflow_runs.curves(event).items():
                allowed.setdefault((name, event.round), set()).add(value)
    for metric in sorted({name for name, _ in allowed}):
        for step, value in told.history(run.id, metric):
            values = allowed.get((metric, step), set())
            if not any(mlflow_runs.same(value, one) for one in values):
                expected = f"{metric} of round {step} to be {' or '.join(map(str, sorted(values))) or 'not there'}"
                report.add("mlflow_story", f"MLflow run '{run.title}'", expected, value, RESTORE)


def _check_rounds(reach: Reach, told: Told, waiting: Waiting, report: Report) -> set[str]:
    """Compare the run of every round that was decided; returns the ids of their events."""
    by_event: dict[str, list[Noted]] = {}
    for noted in reach.records:
        if noted.record.event:
            by_event.setdefault(noted.record.event, []).append(noted)
    for event_id, records in by_event.items():
        found = [run for run in told.runs if run.tags.get("event") == event_id and run.tags.get("kind") == "round"]
        noted = records[-1]
        if not found:
            if not waiting.told(event_id, noted.title, report):
                report.add("mlflow_story", "MLflow", f"a run for {noted.title} (event {short(event_id)})", "none", RESTORE)
            continue
        if len(found) > 1:
            report.add("mlflow_story", "MLflow", f"one run for {noted.title} (event {short(event_id)})", len(found), RESTORE)
        if reach.is_whole(noted):
            event = round_event(noted.record, reach.campaign, reach.store)
            facts = {"flow_run": {one.record.flow_run for one in records}, "supersedes": {one.record.supersedes for one in records}}
            mlflow_runs.compare_round(found[0], event, facts, reach.rewritten(noted), report)
    return {*by_event}


def _figures(reach: Reach) -> Iterator[tuple[Noted, list[mlflow_runs.Row]]]:
    """The figures of every round that was decided, the closing ones apart, as they were told of."""
    closing = reach.folder.test()
    for noted in reach.records:
        if noted.record.event:
            yield noted, noted.record.metrics
            if noted.is_standing:
                place = (noted.record.round, noted.record.attempt)
                yield noted, [row for row in closing if (row["round"], row["attempt"]) == place]


def _told_of(rows: list[mlflow_runs.Row], noted: Noted, reach: Reach) -> list[events.EvaluateEvent]:
    """The events of figures; without the tables that they were measured on where these are not what they were."""
    record = noted.record if reach.is_unchanged(noted) else replace(noted.record, stages={})
    return evaluate_events(rows, record, reach.store)


def _old_closings(reach: Reach) -> Iterator[tuple[Noted, list[mlflow_runs.Row]]]:
    """Closing figures that reruns made stale, with a record of their round: the campaign's curves keep their points."""
    places = {(noted.record.round, noted.record.attempt): noted for noted in reach.records}
    for path in sorted(reach.folder.path.glob("test.superseded-*.json")):
        rows = read_figures(path)
        for place, noted in places.items():
            yield noted, [row for row in rows if (row["round"], row["attempt"]) == place]


def _check_evaluations(reach: Reach, told: Told, waiting: Waiting, report: Report) -> None:
    runs = [run for run in told.runs if run.tags.get("kind") == "evaluate"]
    seen: set[str] = set()
    for noted, rows in _figures(reach):
        for event in _told_of(rows, noted, reach):
            event_id = events.identity(event)
            if event_id in seen or waiting.told(event_id, f"{noted.title} {event.split}", report):
                continue
            seen.add(event_id)
            place = {"round": str(event.round), "attempt": str(event.attempt), "split": event.split, "digest": event.model.digest}
            near = [run for run in runs if place.items() <= run.tags.items()]
            run = next((run for run in runs if run.tags.get("event") == event_id), near[-1] if near else None)
            if run is None:
                report.add("mlflow_story", "MLflow", f"a run for {noted.title}, evaluate {event.split}", "none", RESTORE)
            else:
                mlflow_runs.compare_evaluation(run, event, report)


def _check_models(reach: Reach, told: Told, report: Report) -> None:
    """A version for every model, each with the digest of what it was made from, and the aliases where they belong."""
    finished = sorted((n.record for n in reach.records if n.is_standing and n.record.event), key=lambda r: (r.round, r.attempt))
    champions = models_by_reference(reach.campaign, finished)["champion"]
    candidates = {role: digest for record in finished if record.round for role, digest in record.made.items()}
    for role, versions in told.versions.items():
        name = f"MLflow model {reach.folder.name}.{role}"
        of = {version.logged or version.digest: version.number for version in versions}
        for version in versions:
            if version.digest != version.logged:
                report.add(
                    "mlflow_story", f"{name} version {version.number}", f"digest {short(version.logged)}", short(version.digest), RESTORE
                )
        decided = [noted.record for noted in reach.records if noted.record.event]
        wanted = {d for chosen in (reach.campaign.base, *(r.start for r in decided), *(r.made for r in decided)) if (d := chosen.get(role))}
        for digest in sorted(wanted - of.keys()):
            report.add("mlflow_story", name, f"a version with digest {short(digest)}", "none", RESTORE)
        for digest in sorted(of.keys() - wanted):
            report.add("mlflow_story", f"{name} version {of[digest]}", "a model of this campaign's records", short(digest), RESTORE)
        expected = {"champion": of.get(champions.get(role, ""), ""), "candidate": of.get(candidates.get(role, ""), "")}
        for alias, number in expected.items():
            if number and (found := told.aliases[role].get(alias, "none")) != number:
                report.add("mlflow_story", f"{name} alias {alias}", f"version {number}", f"version {found}", RESTORE)
