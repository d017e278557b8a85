"""The record of every publication: sealed by its own hash, under the key of its ingredients, true of the files beside it."""

from __future__ import annotations

from collections.abc import Mapping

from lib import keys, tables
from lib.audit.reach import Done, Job, Reach
from lib.audit.report import Report, short
from lib.store import Publication


def check(reach: Reach, report: Report) -> None:
    """Look at every record that the campaign's rounds name, and at those behind them."""
    owners = {done.job: done for done in reversed(reach.jobs)}
    for job, where in sorted(reach.faults.items()):
        _tell_fault(job, where, owners.get(job), reach, report)
    for job, made in sorted(reach.publications.items()):
        report.counts["records"] += 1
        if (key := keys.key_of(made.ingredients)) != job[0]:
            report.add("records", name_of(job), f"the key of its ingredients, {short(key)}", short(job[0]), "restore it from a copy")
        _check_rows(job, made, reach, report)


def _tell_fault(job: Job, where: str, owner: Done | None, reach: Reach, report: Report) -> None:
    remedy = owner.remedy if owner is not None else "restore it from a copy"
    there = "one that was altered" if reach.record_path(job).exists() else "no such file"
    report.add("records", f"{name_of(job)} ({where})", "a record sealed by its own sha256", there, remedy)


def _check_rows(job: Job, made: Publication, reach: Reach, report: Report) -> None:
    """The rows that a record declares are those that the files hold."""
    if not made.rows or made.digest in reach.damaged:
        return
    held = tables.rows_in(reach.store.folder(made.digest))
    for table, declared in sorted(_declared(job, made, reach).items()):
        if held.get(table, 0) != declared:
            where = reach.artifacts.get(made.digest, "")
            report.add("records", f"{name_of(job)} ({where})", f"{declared} rows of {table}", held.get(table, 0), "restore it from a copy")


def _declared(job: Job, made: Publication, reach: Reach) -> Mapping[str, int]:
    """The rows that a record declares; of an artifact that another took the place of, those of the record that says so."""
    now = reach.store.now(made.digest)
    if now == made.digest:
        return made.rows
    later = [reach.store.read(job[0], version) for version in reach.store.versions(job[0])]
    return next((other.rows for other in later if other.digest == now), made.rows)


def name_of(job: Job) -> str:
    """What a publication is called in a line."""
    return f"record {short(job[0])}/{job[1]}"
