"""What the store itself found damaged and set aside: a loss where it was made again since, and else a mismatch."""

from __future__ import annotations

from lib.artifacts import parsed
from lib.audit.reach import Done, Reach
from lib.audit.records import name_of
from lib.audit.report import Report, short


def check(reach: Reach, report: Report) -> None:
    """Tell of every publication on the campaign's records that is in quarantine; the other checks leave these out."""
    for done in reach.jobs:
        note = parsed(reach.record_path(done.job).with_suffix(".lost"))
        if done.job in reach.faults and note is not None and not reach.record_path(done.job).exists():
            del reach.faults[done.job]
            reach.lost.add(done.digest)
            _tell(done, str(note.get("why", "damaged")), reach, report)


def _tell(done: Done, why: str, reach: Reach, report: Report) -> None:
    newer = [version for version in reach.store.versions(done.job[0]) if version > done.job[1]]
    if not newer:
        report.add("losses", f"{name_of(done.job)} ({done.where})", "what it published", f"it in quarantine: {why}", done.remedy)
        return
    output = (parsed(reach.record_path((done.job[0], newer[-1]))) or {}).get("output", {})
    content = "the same content" if output.get("digest") == done.digest else f"other content, {short(str(output.get('digest')))}"
    report.losses.append(f"{name_of(done.job)} ({done.where}) was lost: {why}; version {newer[-1]} stands in its place, with {content}")
