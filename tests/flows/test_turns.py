"""Machines that share a device take turns at it, and on one machine nothing has to be waited for."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from lib.home import Home
from tasks.slots import Slot
from tests.flows.conftest import command, environment, kill_whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TIMED = '''"""Trains, and says from when to when."""
import os, time
from typing import ClassVar
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.strategy import Strategy

class Timed(Strategy):
    learns_from: ClassVar[str] = "sft"
    start_from: str = "previous"
    seconds: float = 2.0
    def train(self, models, examples, out, seed, machine):
        from lib import models as m
        began = time.monotonic()
        with open(os.environ["INTERVALS"] + ".begun", "a") as file:
            file.write("begun\\n")
        time.sleep(self.seconds)
        model = m.load_model(models["start"], dtype="float32", device="cpu")
        next(model.parameters()).data.mul_(1.01)
        m.save(model, models["start"], out)
        with open(os.environ["INTERVALS"], "a") as file:
            file.write(f"{began} {time.monotonic()}\\n")
        return {}

RECIPE = Recipe(
    phases=(Phase(sampler=Independent(n=2), trainer=Timed()),), evaluators=(PassAtK(k=(1,), sampler=Independent(n=2)),), gate=None
)
'''


@pytest.fixture
def words(model: Path, tmp_path: Path) -> list[str]:
    """A campaign of two rounds."""
    (tmp_path / "timed.py").write_text(TIMED)
    return ["improve", "--recipe", str(tmp_path / "timed.py"), "--model", str(model), "--count", "40", "--held-out", "8", "--rounds", "2"]


@pytest.fixture
def slot(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a limit of one slot."""
    name = "shared-device"
    httpx.post(f"{server}/v2/concurrency_limits/", json={"name": name, "limit": 1}, timeout=60).raise_for_status()
    monkeypatch.setenv("PREFECT_API_URL", server)
    yield name
    httpx.delete(f"{server}/v2/concurrency_limits/{name}", timeout=60)


def test_two_machines_never_work_at_once_and_whoever_waits_holds_nothing(slot: str, server: str, words: list[str], tmp_path: Path):
    homes = [Home(tmp_path / machine) for machine in ("left", "right")]
    intervals = tmp_path / "intervals"
    ours = Slot(slot, lambda: None)
    ours.take()
    runs = [begin(home, server, words, ROUNDHOUSE_SLOT=slot, INTERVALS=str(intervals)) for home in homes]
    said = [await_line(run, "waiting for a slot of 'shared-device'") for run in runs]
    assert [locked(home) for home in homes] == [[], []]
    ours.give_back()
    for run, before in zip(runs, said, strict=True):
        _, stderr = run.communicate(timeout=600)
        assert run.returncode == 0, before + stderr
    worked = sorted(tuple(map(float, line.split())) for line in intervals.read_text().splitlines())
    assert len(worked) == 4
    assert all(end <= begun for (_, end), (begun, _) in pairwise(worked))
    limit = httpx.get(f"{server}/v2/concurrency_limits/{slot}", timeout=60).json()
    assert limit["active_slots"] == 0


def test_on_one_machine_a_run_right_after_a_kill_of_everything_waits_for_nothing(home: Home, server: str, words: list[str], tmp_path: Path):
    intervals = tmp_path / "intervals"
    first = begin(home, server, [*words, "--set", "trainer.seconds=600"], INTERVALS=str(intervals), one_core=True)
    await_work(first, intervals, 1)
    assert "cpu-0.lock" in locked(home)
    kill_whole(first)
    assert locked(home) == []
    again = begin(home, server, ["improve", "timed"], INTERVALS=str(intervals), one_core=True)
    await_work(again, intervals, 2)
    kill_whole(again)
    assert again.stderr is not None
    assert "waiting for" not in again.stderr.read()


def await_work(run: subprocess.Popen[str], intervals: Path, times: int) -> None:
    """Until a trainer holds the device and works, for the so manyeth time."""
    begun = intervals.with_name("intervals.begun")
    deadline = time.monotonic() + 400
    while not begun.exists() or len(begun.read_text().splitlines()) < times:
        assert time.monotonic() < deadline
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)


def begin(home: Home, server: str, words: list[str], one_core: bool = False, **more: str) -> subprocess.Popen[str]:
    """A command in the background. On one core there is one device slot."""
    first = {min(os.sched_getaffinity(0))} if one_core else os.sched_getaffinity(0)
    return subprocess.Popen(
        command(home, *words),
        env=environment(home, server, **more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, first),
    )


def await_line(run: subprocess.Popen[str], words: str) -> str:
    """Read what a command says until it says this; all of it so far."""
    said = ""
    assert run.stderr is not None
    for line in run.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


def locked(home: Home) -> list[str]:
    """The locks of devices and keys that somebody holds now."""
    return [path.name for folder in (home.locks, home.store / "locks") for path in sorted(folder.glob("*.lock")) if is_held(path)]


def is_held(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
