"""The child session when things die, hang or run out of memory; the kills are real."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib.errors import ChildCrashed, ChildHung, OutOfMemory
from lib.protocols import Machine, Work
from lib.safe_sizes import SafeSizes
from lib.worker import Session

pytestmark = pytest.mark.slow  # real deaths of real children

HELPERS = Path(__file__).parent / "stages_for_tests"


@pytest.fixture(autouse=True)
def _helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HELPERS))


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session(lock_folder=tmp_path, slots=1) as session:
        yield session


def work(settings: dict[str, Any] | None = None, micro_batch: int | None = None) -> Work:
    return Work(settings or {}, {}, {}, 7, Machine(micro_batch=micro_batch))


def test_a_killed_child_is_a_crash_and_its_device_is_free_at_once(session, tmp_path):
    from processes import pids_in

    marker = tmp_path / "marker"
    killer = threading.Thread(target=lambda: os.kill(pids_in(marker)[0], signal.SIGKILL))
    killer.start()
    with pytest.raises(ChildCrashed, match=r"tiny_stages:sleep: its process \d+ was killed by SIGKILL"):
        session.run("tiny_stages:sleep", work({"marker": str(marker)}), tmp_path / "out")
    killer.join()
    with Session(lock_folder=tmp_path, slots=1) as other:
        assert other.run("tiny_stages:echo", work(), tmp_path / "other", timeout_seconds=10).stats["seed"] == 7
    assert session.run("tiny_stages:echo", work(), tmp_path / "out").stats["seed"] == 7


def test_a_forked_grandchild_of_a_killed_child_does_not_keep_the_device(session, tmp_path):
    from processes import await_that, is_gone, pids_in

    marker, grandchild = tmp_path / "marker", tmp_path / "grandchild"
    killer = threading.Thread(target=lambda: os.kill(pids_in(marker)[0], signal.SIGKILL))
    killer.start()
    with pytest.raises(ChildCrashed):
        session.run("tiny_stages:forks", work({"marker": str(marker), "grandchild": str(grandchild)}), tmp_path / "out")
    killer.join()
    assert await_that(lambda: is_gone(int(grandchild.read_text())))
    assert session.run("tiny_stages:echo", work(), tmp_path / "out").stats["seed"] == 7


def test_a_child_killed_while_idle_costs_nothing(session, tmp_path):
    from processes import await_that, is_gone

    idle = session.run("tiny_stages:echo", work(), tmp_path / "out").stats["pid"]
    os.kill(idle, signal.SIGKILL)
    assert await_that(lambda: is_gone(idle))
    assert session.run("tiny_stages:echo", work(), tmp_path / "out").stats["pid"] != idle


@pytest.mark.parametrize(("function", "how"), [("leave", "ended with exit code 3"), ("segfault", "was killed by SIGSEGV")])
def test_a_crash_says_how(session, tmp_path, function, how):
    with pytest.raises(ChildCrashed, match=how):
        session.run(f"tiny_stages:{function}", work(), tmp_path / "out")


def test_a_hang_that_ignores_sigterm_is_killed_whole(session, tmp_path):
    from processes import await_that, is_gone, pids_in

    marker, grandchild = tmp_path / "marker", tmp_path / "grandchild"
    settings = {"marker": str(marker), "grandchild": str(grandchild)}
    with pytest.raises(ChildHung, match=r"tiny_stages:stubborn ran past its limit of 0.5 s"):
        session.run("tiny_stages:stubborn", work(settings), tmp_path / "out", timeout_seconds=0.5)
    child, _ = pids_in(marker)
    assert await_that(lambda: is_gone(child) and is_gone(int(grandchild.read_text())))
    assert session.run("tiny_stages:echo", work(), tmp_path / "out", timeout_seconds=10).stats["seed"] == 7


def test_an_interrupt_kills_the_child_before_it_reaches_the_caller(session, tmp_path):
    from processes import is_gone

    pid = session.run("tiny_stages:echo", work(), tmp_path / "out").stats["pid"]

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.run("tiny_stages:count", work({"total": 1000, "pause": 0.1}), tmp_path / "out", report=interrupt)
    assert is_gone(pid)


def test_closing_ends_another_threads_item(session, tmp_path):
    from processes import is_gone, pids_in

    errors: list[BaseException] = []

    def run() -> None:
        try:
            session.run("tiny_stages:sleep", work({"marker": str(tmp_path / "marker")}), tmp_path / "out")
        except ChildCrashed as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    pid, _ = pids_in(tmp_path / "marker")
    session.close()
    thread.join(10)
    assert is_gone(pid) and len(errors) == 1


@pytest.mark.parametrize("kind", ["torch", "allocator", "python", "exit"])
def test_out_of_memory_halves_the_micro_batch_and_the_size_is_remembered(tmp_path, kind):
    with Session(lock_folder=tmp_path) as session:
        first = session.run("tiny_stages:fits_only_8", work({"kind": kind}, 32), tmp_path / "out", memory_key="m0/24")
    assert first.stats == {"size": 8, "left_over": []} and first.micro_batch == 8
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["half-8"]
    assert SafeSizes(tmp_path).known("m0/24", "cpu") == 8
    with Session(lock_folder=tmp_path) as session:
        straight = session.run("tiny_stages:fits_only_8", work({"kind": kind}, 32), tmp_path / "again", memory_key="m0/24")
        other_key = session.run("tiny_stages:fits_only_8", work({"kind": kind}, 4), tmp_path / "other", memory_key="m1/24")
    assert straight.micro_batch == 8
    assert other_key.micro_batch == 4


def test_a_strategys_own_size_is_halved_from_the_largest(tmp_path):
    with Session(lock_folder=tmp_path) as session:
        result = session.run("tiny_stages:fits_only_8", work({"kind": "python"}), tmp_path / "out")
    assert result.micro_batch == 8  # 512 was halved six times


def test_out_of_memory_at_one_gives_up_and_says_what_to_do(session, tmp_path):
    attempts = tmp_path / "attempts"
    with pytest.raises(OutOfMemory, match="even at micro-batch 1: use a smaller model, fewer tokens or a larger device"):
        session.run("tiny_stages:never_fits", work({"attempts": str(attempts)}, 4), tmp_path / "out")
    assert attempts.read_text().split() == ["4", "2", "1"]


def test_work_without_a_device_is_not_tried_at_half_the_size(tmp_path):
    attempts = tmp_path / "attempts"
    with Session(lock_folder=tmp_path, needs_device=False) as session, pytest.raises(OutOfMemory):
        session.run("tiny_stages:never_fits", work({"attempts": str(attempts)}, 4), tmp_path / "out")
    assert attempts.read_text().split() == ["4"]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_killed_owner(tmp_path, ending):
    from processes import await_that, is_gone, own, pids_in

    marker, grandchild = tmp_path / "marker", tmp_path / "grandchild"
    owner = own("stubborn", tmp_path, {"marker": str(marker), "grandchild": str(grandchild)})
    child, server = pids_in(marker)
    pids = [child, server, int(grandchild.read_text())]
    assert not any(is_gone(pid) for pid in pids)
    owner.send_signal(ending)
    owner.communicate(timeout=20)
    assert await_that(lambda: all(is_gone(pid) for pid in pids)), [pid for pid in pids if not is_gone(pid)]


def test_nothing_outlives_an_interrupted_owner(tmp_path):
    from processes import await_that, is_gone, own, pids_in

    owner = own("sleep", tmp_path, {"marker": str(tmp_path / "marker")})
    pids = pids_in(tmp_path / "marker")
    owner.send_signal(signal.SIGINT)
    _, noise = owner.communicate(timeout=20)
    assert "KeyboardInterrupt" in noise and owner.returncode == -signal.SIGINT
    assert await_that(lambda: all(is_gone(pid) for pid in pids))
