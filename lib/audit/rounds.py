"""The record of every round, against the publications that it names, the rounds before it and the figures in its tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lib import events, records, tables
from lib.alarms.every import metric_rows
from lib.audit.reach import Reach, Told
from lib.audit.report import Report, short
from lib.campaign import models_by_reference
from lib.errors import UserError
from lib.inherited import changed
from lib.roles import POLICY
from lib.round_events import round_event

Row = dict[str, Any]


def check(reach: Reach, report: Report) -> None:
    """Look at every record of a round, superseded ones too."""
    for told in reach.records:
        report.counts["rounds"] += 1
        before = len(report.mismatches)
        _check_jobs(told, reach, report)
        _check_models(told, reach, report)
        _check_figures(told, reach, report)
        if len(report.mismatches) == before:
            _check_event(told, reach, report)
    _check_closing(reach, report)


def _check_jobs(told: Told, reach: Reach, report: Report) -> None:
    """Each job has the artifact that its publication's record says, and a stage's results are those of its jobs."""
    for done in (done for done in reach.jobs if done.told is told):
        made = reach.publications.get(done.job)
        if made is not None and made.digest != done.digest:
            _add(told, report, f"{done.stage} to have made {short(made.digest)}, as its publication says", short(done.digest))
    for stage, noted in told.record.stages.items():
        known = {job["digest"] for job in noted["jobs"]}
        for table, refs in noted.get("made", {}).items():
            for ref in refs:
                if ref.partition("/")[0] not in known:
                    _add(told, report, f"the {table} of {stage} to be of one of its jobs", short(ref))


def _check_models(told: Told, reach: Reach, report: Report) -> None:
    """What a round made was made by its trainers from the examples it names; what it began with is what came before it."""
    record = told.record
    trained = {job["digest"] for noted in record.stages.values() if noted["verb"] == "train" for job in noted["jobs"]}
    for role, digest in sorted(record.made.items()):
        if digest not in trained:
            _add(told, report, f"the {role} that it made to be of one of its train stages", short(digest))
    for done in (done for done in reach.jobs if done.told is told and done.digest in trained):
        learned = record.stages[done.stage].get("learned", {})
        made = reach.publications.get(done.job)
        for name in ("examples", "replay"):
            read = made.ingredients["inputs"].get(name, []) if made is not None and learned else []
            if made is not None and name == "examples" and "iterations" in made.ingredients["settings"]:
                read = [made.digest]  # it made them itself
            noted = [ref.partition("/")[0] for ref in learned.get(name, [])]
            now, then = (sorted(reach.store.now(digest) for digest in digests) for digests in (noted, read))
            if made is not None and learned and now != then:
                _add(told, report, f"{done.stage} to have read {_listed(read)} as {name}", _listed(noted))
    if told.is_standing and record.round:
        ours = [other.record for other in reach.records if other.is_standing and other.record.state in ("accepted", "rejected")]
        past = sorted((r for r in ours if (r.round, r.attempt) < (record.round, record.attempt)), key=lambda r: (r.round, r.attempt))
        known = models_by_reference(reach.campaign, past)
        for name, began in {"previous": record.start, **record.besides}.items():
            if began != (wanted := known.get(name, {})):
                _add(told, report, f"it to begin with {_listed(wanted.values())} as '{name}'", _listed(began.values()))
        for other in changed(record, past):
            _add(told, report, f"it to begin with the {other} that the rounds before it left", "others")


def _check_figures(told: Told, reach: Reach, report: Report) -> None:
    stages = [stage for stage in told.record.stages if stage.startswith("evaluate/") and stage != "evaluate/test"]
    measured = _measured(told, stages, reach)
    if measured is not None:
        policy = {**told.record.start, **told.record.made}.get(POLICY, "")
        for expected, found in _differing([*measured, *metric_rows(told.record.alarms, policy)], told.record.metrics):
            _add(told, report, expected, found)


def _check_closing(reach: Reach, report: Report) -> None:
    """test.json holds what the tables of the rounds' closing evaluations hold."""
    try:
        rows = reach.folder.test()
    except UserError as error:
        report.add("rounds", "test.json", "figures that can be read", f"none ({error})", "restore it from a copy")
        return
    for told in reach.records:
        place = (told.record.round, told.record.attempt)
        noted = [row for row in rows if (row["round"], row["attempt"]) == place]
        if not told.is_standing or not noted:
            continue
        measured = _measured(told, ["evaluate/test"] if "evaluate/test" in told.record.stages else [], reach)
        if measured is not None:
            for expected, found in _differing(measured, noted):
                report.add("rounds", f"test.json, {told.title}", expected, found, "restore it from a copy")


def _measured(told: Told, stages: Iterable[str], reach: Reach) -> list[Row] | None:
    """The metric rows in the tables of these stages; None where one of them is damaged."""
    digests = [ref for stage in stages for ref in told.record.stages[stage]["made"].get("metrics", [])]
    paths = [reach.store.folder(digest) / "metrics.parquet" for digest in digests]
    if any(digest in reach.damaged for digest in digests) or not all(path.is_file() for path in paths):
        return None
    return tables.read(paths, records.METRICS).to_pylist()


def _differing(measured: list[Row], noted: list[Row]) -> Iterator[tuple[str, str]]:
    """(expected, found) for every figure that a record has otherwise than the tables, has not, or has alone."""
    ours, theirs = _by_name(measured), _by_name(noted)
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            yield f"{' '.join(name[1:])} {ours.get(name, 'not to be there')}", str(theirs.get(name, "nothing"))


def _by_name(rows: list[Row]) -> dict[tuple[str, ...], str]:
    """A figure's place → the figure, with its n and standard error, as text: nan equals nan there."""
    places = ("model_id", "split", "evaluator", "metric", "slice")
    return {tuple(str(row.get(p)) for p in places): f"{row['value']} (n {row['n']}, ±{row.get('stderr')})" for row in rows}


def _check_event(told: Told, reach: Reach, report: Report) -> None:
    """What was told of a round when it was decided has an id that follows from all of it; so has what the record says now."""
    if not told.record.event or not reach.is_unchanged(told):
        return
    event = events.identity(round_event(told.record, reach.campaign, reach.store))
    if event != told.record.event:
        _add(told, report, f"the decision, models and figures of its event {short(told.record.event)}", "others")


def _listed(digests: Iterable[str]) -> str:
    return ", ".join(map(short, digests)) or "none"


def _add(told: Told, report: Report, expected: str, found: str) -> None:
    report.add("rounds", f"{told.path.parent.name}/{told.path.name}", expected, found, told.remedy)
