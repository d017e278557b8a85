"""What a person reads of a job that failed: which one it was, what went wrong, and what to do about it, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.errors import ChildCrashed, ChildFailure, ChildHung, StageFailed
from lib.job import Job
from lib.time_limits import VARIABLE

TRACEBACK = "traceback.txt"
"""In the scratch folder of a job, which goes when the job has succeeded."""


@contextmanager
def told(job: Job, scratch: Path | None, limit_seconds: float) -> Iterator[None]:
    """Raise the failure of a job's child again, in the same class, with the job's name and the remedy in its message."""
    try:
        yield
    except ChildHung as hang:
        longer = f"{VARIABLE}={job.kind}={2 * limit_seconds:g}"
        raise ChildHung(
            f"{job.label} was not done within {limit_seconds:g} s and was killed; what is done is kept: "
            f"give it longer with {longer}, or mend what hangs, and run the same command again"
        ) from hang
    except StageFailed as failure:
        raise StageFailed(f"{_named(job, failure)}{_kept(failure, scratch)}") from failure
    except ChildFailure as failure:
        again = "; what is done is kept, and the same command tries it again" if isinstance(failure, ChildCrashed) else ""
        raise type(failure)(f"{_named(job, failure)}{again}") from failure


def _named(job: Job, failure: ChildFailure) -> str:
    return f"{job.label}: {str(failure).removeprefix(f'lib.stages.{job.kind}:run: ')}"


def _kept(failure: StageFailed, scratch: Path | None) -> str:
    """Where the child's own traceback can be read; nothing where it has none or there is no room for it."""
    notes = "\n".join(getattr(failure, "__notes__", ()))
    if scratch is None or not notes:
        return ""
    path = scratch / TRACEBACK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(notes, encoding="utf-8")
    except OSError:  # the failure itself is what is to be told
        return ""
    return f"; its traceback is in {path}"
