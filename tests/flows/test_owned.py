"""Marked processes: found however deep, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest

from flows import owned

SLEEP = "import time; time.sleep(300)"
FAMILY = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True); time.sleep(300)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"


@pytest.fixture
def mark() -> Iterator[str]:
    drawn = uuid.uuid4().hex
    yield drawn
    owned.end(lambda: owned.marked(drawn), 10, (signal.SIGKILL,))


def start(code: str, mark: str | None) -> subprocess.Popen[str]:
    environment = {**os.environ, **({owned.MARK: mark} if mark else {})}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)


def until(count: int, mark: str) -> list[int]:
    deadline = time.monotonic() + 60
    while len(found := owned.marked(mark)) != count:
        assert time.monotonic() < deadline, f"{found} are not {count}"
        time.sleep(0.05)
    return found


def test_a_child_of_a_child_in_a_session_of_its_own_carries_the_mark(mark: str):
    parent = start(FAMILY, mark)
    until(2, mark)
    parent.kill()
    parent.wait()
    assert parent.pid not in until(1, mark)


def test_only_what_is_marked_is_ended_and_also_what_ignores_sigterm(mark: str):
    bystander, deaf = start(SLEEP, None), start(STUBBORN, mark)
    assert deaf.stdout is not None and deaf.stdout.readline() == "deaf\n"
    other = start(SLEEP, uuid.uuid4().hex)
    owned.end(lambda: owned.marked(mark), 0.5)
    assert deaf.wait(timeout=30) == -signal.SIGKILL
    assert bystander.poll() is None and other.poll() is None
    for process in (bystander, other):
        process.kill()
        process.wait()


def test_a_process_that_ended_is_not_taken_for_a_living_one(mark: str):
    ended = start("pass", mark)
    until(0, mark)  # not yet waited for
    assert not owned.is_marked(ended.pid, mark)
    ended.wait()
    assert not owned.is_marked(ended.pid, mark)
