"""The command in a process of its own, against one Prefect server for all tests of flows."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lib.home import Home
from lib.small_model import SmallLlama

ROOT = Path(__file__).resolve().parents[2]

pytest.register_assert_rewrite(*(f"tests.flows.{path.stem}" for path in Path(__file__).parent.glob("signatures_*.py")))

SMALL = ["--count", "40", "--held-out", "8", "--set", "trainer.steps=4"]
"""A campaign of seconds."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API address of a real Prefect server, ended with the test run."""
    code = (
        "import sys; from pathlib import Path; from lib.home import Home; from flows.server import prefect_server\n"
        "with prefect_server(Home(Path(sys.argv[1]))) as url: print(url, flush=True); sys.stdin.read()"
    )
    home = tmp_path_factory.mktemp("server")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(home / "prefect")}
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    assert holder.stdout is not None
    yield holder.stdout.readline().strip()
    holder.communicate(timeout=60)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model folder, randomly initialised."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    SmallLlama(hidden_size=16, layers=1, heads=2, intermediate_size=32).build(folder, 0)
    return folder


Run = Callable[..., subprocess.CompletedProcess[str]]


def command(home: Home, *words: str) -> list[str]:
    return [sys.executable, "-m", "flows.cli", *words]


def environment(home: Home, server: str | None, **more: str) -> dict[str, str]:
    given = {**os.environ, "PYTHONPATH": str(ROOT), "ROUNDHOUSE_HOME": str(home.root), **more}
    return {**given, "PREFECT_API_URL": server} if server else given


def kill_whole(command: subprocess.Popen[Any]) -> None:
    """SIGKILL to a command and all that it started, and wait until all have ended."""
    family = [psutil.Process(command.pid), *psutil.Process(command.pid).children(recursive=True)]
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended with its parent
            process.kill()
    command.wait()
    _gone, alive = psutil.wait_procs(family, timeout=20)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def run(home: Home, server: str) -> Run:
    """Run `roundhouse WORDS` in this test's home and return what became of it."""

    def run_words(*words: str, cwd: Path = ROOT, seconds: float = 280, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(home, *words), env=environment(home, server, **more), cwd=cwd, capture_output=True, text=True, timeout=seconds
        )

    return run_words


def digests(home: Home, campaign: str) -> dict[str, list[str]]:
    """Stage path → artifact digests of every round on record."""
    found: dict[str, list[str]] = {}
    for path in sorted((home.campaigns / campaign).glob("round-*/round.json")):
        record: dict[str, Any] = json.loads(path.read_text())
        for stage, values in record["stages"].items():
            found[f"{record['round']}/{stage}"] = [job["digest"] for job in values["jobs"]]
    return found


def executed(home: Home) -> list[str]:
    """The labels of every job that was really done in a home, in order of publication.

    What was measured is written before the record that publishes it: a job killed between the two was not done. One whose
    record was damaged, and has been set aside, was.
    """
    published = [path for kind in ("json", "lost") for path in (home.store / "by-key").glob(f"*/*.{kind}") if path.stem.isdigit()]
    stats = sorted({path.with_suffix(".stats.json") for path in published}, key=lambda p: p.stat().st_mtime_ns)
    return [json.loads(path.read_text())["label"] for path in stats]
