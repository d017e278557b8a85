"""The parts of the child that can be looked at without one: what a failure is called, and what passes the pipe."""

from __future__ import annotations

import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from lib.child import Done, Item, Progress, Wire, failure, perform
from lib.errors import StageFailed, UnknownName
from lib.protocols import Machine, Work

STAGES = str(Path(__file__).parent / "stages_for_tests")


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own, whatever the message."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OutOfMemoryError("no room"), "OutOfMemory"),
        (MemoryError(), "OutOfMemory"),
        (RuntimeError("CUDA error: out of memory"), "OutOfMemory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"), "OutOfMemory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "OutOfMemory"),
        (RuntimeError("CUDA error: device-side assert triggered"), "StageFailed"),
        (ValueError("the model ran out of memory lanes"), "StageFailed"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "UserError"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "UserError"),
        (Exception("I/O error: No space left on device (os error 28)"), "UserError"),
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT)), "StageFailed"),
        (UnknownName("recipe", "starr", ["star"]), "UnknownName"),
    ],
)
def test_a_failure_is_called_what_it_is(error, kind):
    assert failure(error, "lib.stages.train:run").error == kind


def test_only_the_first_line_of_a_message_is_shown():
    assert failure(ValueError("\nshapes differ\n(2, 3)\n(3, 2)"), "mine:run").message == "mine:run: ValueError: shapes differ"


def test_a_stage_is_performed_with_a_report_of_its_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(STAGES)
    seen: list[tuple[int, int]] = []
    item = Item("tiny_stages:count", Work({"total": 3, "pause": 0}, {}, {}, 1, Machine()), tmp_path)
    done = perform(item, lambda done, total: seen.append((done, total)))
    assert isinstance(done, Done) and done.stats == {}
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_stage_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StageFailed, match=r"no stage function 'lib.stages.smaple:run': No module named 'lib.stages.smaple'"):
        perform(Item("lib.stages.smaple:run", Work({}, {}, {}, 1, Machine()), tmp_path), lambda done, total: None)


def test_progress_is_throttled_but_its_end_always_passes():
    ours, theirs = multiprocessing.Pipe()
    wire = Wire(theirs)
    for done in range(1, 1001):
        wire.report(done, 1000)
    theirs.close()
    seen = []
    while ours.poll():
        try:
            seen.append(ours.recv())
        except EOFError:
            break
    assert seen[0] == Progress(1, 1000) and seen[-1] == Progress(1000, 1000)
    assert len(seen) < 20
