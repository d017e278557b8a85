"""What a failed job says: which one it was and what to do, in the class that decides whether it is tried again."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.errors import ChildCrashed, ChildHung, OutOfMemory, RoundhouseError, ServerGone, StageFailed, UserError
from lib.job import Job, Label
from tasks.failing import TRACEBACK, told

JOB = Job("sample", Label("nightly", 2, "main", "sample", shard=1, shards=4), {})


def raised(error: Exception, scratch: Path | None = None) -> BaseException:
    with pytest.raises(RoundhouseError) as found, told(JOB, scratch, 600.0):
        raise error
    return found.value


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ChildHung("lib.stages.sample:run ran past its limit of 600 s and was killed"),
            "nightly r2 main/sample 2/4 was not done within 600 s and was killed; what is done is kept: "
            "give it longer with ROUNDHOUSE_TIMEOUT_SECONDS=sample=1200, or mend what hangs, and run the same command again",
        ),
        (
            ChildCrashed("lib.stages.sample:run: its process 7 was killed by SIGKILL"),
            "nightly r2 main/sample 2/4: its process 7 was killed by SIGKILL; what is done is kept, and the same command tries it again",
        ),
        (
            ServerGone("no model server answers"),
            "nightly r2 main/sample 2/4: no model server answers; what is done is kept, and the same command tries it again",
        ),
        (OutOfMemory("out of memory; even at 1"), "nightly r2 main/sample 2/4: out of memory; even at 1"),
        (StageFailed("lib.stages.sample:run: KeyError: 'n'"), "nightly r2 main/sample 2/4: KeyError: 'n'"),
    ],
)
def test_a_failure_names_its_job_and_keeps_its_class(error: Exception, line: str):
    found = raised(error)
    assert type(found) is type(error)
    assert str(found) == line


def test_the_traceback_of_a_stage_is_kept_where_the_line_says(tmp_path: Path):
    failure = StageFailed("lib.stages.sample:run: KeyError: 'n'")
    failure.add_note("in the child process:\nTraceback …")
    found = raised(failure, tmp_path / "key")
    assert str(found).endswith(f"KeyError: 'n'; its traceback is in {tmp_path / 'key' / TRACEBACK}")
    assert (tmp_path / "key" / TRACEBACK).read_text() == "in the child process:\nTraceback …"


def test_where_a_traceback_cannot_be_kept_the_failure_is_told_all_the_same(tmp_path: Path):
    failure = StageFailed("lib.stages.sample:run: KeyError: 'n'")
    failure.add_note("Traceback …")
    (tmp_path / "file").write_text("")
    assert str(raised(failure, tmp_path / "file" / "key")) == "nightly r2 main/sample 2/4: KeyError: 'n'"


def test_a_mistake_of_the_users_passes_as_it_is():
    assert str(raised(UserError("no space left on the disk"))) == "no space left on the disk"
