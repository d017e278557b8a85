"""`roundhouse up`: what it refuses, and that neither what it starts nor what is left of it survives a kill."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from flows import owned
from flows.up_services import read_state
from lib.files import write_json
from lib.home import Home
from tests.flows.conftest import ROOT
from tests.flows.living import DEADLINE_SECONDS, Living, eventually


@pytest.fixture
def living(home: Home) -> Iterator[Living]:
    made = Living(home)
    yield made
    made.end()


def test_a_taken_port_is_named_with_the_option_that_names_another(living: Living):
    for place, option in enumerate(("--prefect-port", "--mlflow-port")):
        with socket.create_server(("127.0.0.1", living.ports[place])):
            refused = subprocess.run(living.words(), env=living.environment, capture_output=True, text=True, timeout=120)
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1].startswith(f"roundhouse: port {living.ports[place]} cannot be used")
        assert option in refused.stderr and "Traceback" not in refused.stderr
        assert read_state(living.home) == {}


def test_nothing_is_said_to_run_where_nothing_does(living: Living):
    assert living.run("up", "--check").returncode == 1
    said = json.loads(living.run("up", "--check", "--json").stdout)
    assert [row["what"] for row in said] == ["Prefect server", "MLflow server", "work pool 'rounds'", "worker"]
    assert not any(row["answers"] or row["pid"] for row in said)


def test_a_note_that_names_a_living_process_of_somebody_else_is_not_believed(living: Living):
    services = [
        {"name": name, "what": name, "address": "http://127.0.0.1:9", "pid": os.getpid()} for name in ("prefect", "mlflow", "worker")
    ]
    living.home.up.mkdir()
    write_json(
        living.home.up / "state.json", {"pid": os.getpid(), "mark": "0" * 32, "since": "2026-01-01T00:00:00+00:00", "services": services}
    )
    said = json.loads(living.run("up", "--check", "--json").stdout)
    assert not any(row["answers"] or row["pid"] for row in said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody", "--every", "6h"], "no campaign 'nobody'"),
        (["--every", "6h"], "--every needs a campaign"),
        (["nobody", "--every", "6h", "--off"], "--every and --off exclude each other"),
        ([], "no Prefect server answers"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_in_a_line(living: Living, words: list[str], said: str):
    refused = living.run("schedule", *words)
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1 and said in refused.stderr


def test_what_is_installed_is_what_schedules_were_seen_to_fire_with():
    """A newer fastapi ends every flow; with a newer sqlalchemy scheduled runs never appear, and nothing says so."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = {found.name: found.specifier for found in map(Requirement, asked) if found.name in ("prefect", "fastapi", "sqlalchemy")}
    assert len(pinned) == 3
    assert [name for name, versions in pinned.items() if not versions.contains(version(name))] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_private_server_that_lost_its_keeper_makes_room(living: Living, tmp_path: Path):
    code = (
        "import json, os; from flows.server import prefect_server; from lib import home\n"
        "with prefect_server(home.current()): os.kill(json.loads((home.current().prefect / 'server.json').read_text())['pid'], 9)"
    )
    subprocess.run([sys.executable, "-c", code], env=living.environment, cwd=ROOT, check=True, timeout=DEADLINE_SECONDS)
    noted = json.loads((living.home.prefect / "server.json").read_text())
    assert owned.is_marked(noted["server"], noted["mark"])
    living.start(tmp_path)
    assert not owned.marked(noted["mark"])
    assert living.answers()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_is_killed_is_started_again_and_nothing_outlives_up(living: Living, tmp_path: Path):
    living.start(tmp_path)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    before, first = living.pids(), living.mark
    for name in ("worker", "prefect", "mlflow"):
        os.kill(before[name], signal.SIGKILL)
    eventually(lambda: all(new != old for new, old in zip(living.pids().values(), before.values(), strict=True)), "not started again")
    eventually(living.answers, "what was started again does not answer")

    ender = next(pid for pid in children(living) if b"flows.up_ending" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(ender, signal.SIGKILL)
    assert living.stop(signal.SIGKILL) == -signal.SIGKILL
    assert owned.marked(first)  # nobody was left to end them
    living.start(tmp_path)
    assert not owned.marked(first) and living.mark != first
    assert living.answers()

    second = living.mark
    living.stop(signal.SIGKILL)
    eventually(lambda: not owned.marked(second), "orphans of a killed `up` live on")
    assert living.run("up", "--check").returncode == 1
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def children(living: Living) -> list[int]:
    assert living.process is not None
    return [int(pid) for pid in Path(f"/proc/{living.process.pid}/task/{living.process.pid}/children").read_text().split()]
