"""Each class of failure, made to happen through the command: what is said, what is left, and that the same command goes on."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lib import records, tables
from lib.home import Home
from lib.publisher import publish
from tests.flows.conftest import ROOT, Run, command, digests, environment, executed

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).with_name("unsteady.py")
SMALL = ("--count", "12", "--held-out", "4")
PATIENCE = 240.0
"""Seconds that anything may take on a slow machine."""


def words(model: Path, rounds: int = 1) -> tuple[str, ...]:
    return ("improve", "--recipe", str(RECIPE), "--model", str(model), *SMALL, "--rounds", str(rounds))


def said(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line that a command which failed ends with; nothing of Python's is on the screen."""
    lines = [line for line in ended.stderr.strip().splitlines() if line.startswith("roundhouse: ")]
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.stderr.strip().splitlines()[-1] == lines[-1], ended.stderr
    return lines[-1]


def await_that(claim: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not claim():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.05)


def stats(home: Home, label: str) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted((home.store / "by-key").glob("*/*.stats.json"))]
    return [values for values in found if values["label"].startswith(label)]


def assert_nothing_is_left(home: Home) -> None:
    """No half-made file, and every device free."""
    assert not list((home.store / "tmp").iterdir())
    for path in home.locks.glob("cpu-*.lock"):
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, server: str, model: Path) -> Home:
    """The same campaign, undisturbed."""
    home = Home(tmp_path_factory.mktemp("calm"))
    ended = subprocess.run(command(home, *words(model)), env=environment(home, server), cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return home


@pytest.fixture
def before_train(calm: Home, home: Home) -> Home:
    """A home in which the campaign stands before its first training: what came after is not there yet."""
    shutil.copytree(calm.root, home.root, dirs_exist_ok=True)
    shutil.rmtree(home.campaigns / "unsteady" / "round-001")
    (home.campaigns / "unsteady" / "test.json").unlink()
    shutil.rmtree(home.outbox)
    (home.root / "mlflow.db").unlink()
    for path in (home.store / "by-key").glob("*/*.stats.json"):
        label = json.loads(path.read_text())["label"]
        if " r1 main/train" in label or " r1 evaluate/" in label or "evaluate/test" in label:
            shutil.rmtree(path.parent)
    return home


def test_out_of_memory_halves_goes_on_and_is_remembered_by_the_next_process(run: Run, home: Home, model: Path, tmp_path: Path):
    tried = tmp_path / "tried"
    ended = run(*words(model), ROOM="8", TRIED=str(tried))
    assert ended.returncode == 0, ended.stderr
    tries = tried.read_text().splitlines()
    halving = ["None", "256", "128", "64", "32", "16", "8"]
    assert [line.split()[1] for line in tries if line.startswith("train")] == halving
    assert [line.split()[1] for line in tries if line.startswith("sample")][:7] == halving
    assert {values["micro_batch"] for values in stats(home, "unsteady r1 main/train")} == {8}
    assert "out of memory; going on at micro-batch" in " ".join(ended.stderr.lower().split()) or "going on at micro-batch 8" in ended.stderr

    tried.write_text("")
    again = run("improve", "unsteady", "--rounds", "2", ROOM="8", TRIED=str(tried))
    assert again.returncode == 0, again.stderr
    assert {line.split()[1] for line in tried.read_text().splitlines()} == {"8"}
    assert {values["micro_batch"] for values in stats(home, "unsteady r2 main/sample")} == {8}
    assert_nothing_is_left(home)


def test_a_child_killed_in_sample_is_started_again_and_the_campaign_ends_the_same(
    run: Run, home: Home, calm: Home, model: Path, tmp_path: Path
):
    ended = run(*words(model), DIE_IN_SAMPLE=str(tmp_path / "died"))
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "died").exists()
    assert digests(home, "unsteady") == digests(calm, "unsteady")
    assert_nothing_is_left(home)


def test_a_child_killed_in_train_is_started_again_and_the_campaign_ends_the_same(run: Run, before_train: Home, calm: Home, tmp_path: Path):
    already = executed(before_train)
    ended = run("improve", "unsteady", DIE_IN_TRAIN=str(tmp_path / "died"), TRIED=str(tmp_path / "tried"))
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "tried").read_text().splitlines().count("train None") == 2
    assert digests(before_train, "unsteady") == digests(calm, "unsteady")
    assert executed(before_train)[len(already)] == "unsteady r1 main/train"
    assert_nothing_is_left(before_train)


def test_a_hang_is_killed_whole_says_what_to_do_and_the_same_command_goes_on(run: Run, before_train: Home, calm: Home, tmp_path: Path):
    marker = tmp_path / "hangs"
    ended = run("improve", "unsteady", HANG_IN_TRAIN=str(marker), ROUNDHOUSE_TIMEOUT_SECONDS="train=3")
    assert "unsteady r1 main/train was not done within 3 s and was killed" in said(ended)
    assert "give it longer with ROUNDHOUSE_TIMEOUT_SECONDS=train=6" in said(ended)
    pids = [int(pid) for pid in marker.read_text().split()]
    await_that(lambda: not any(psutil.pid_exists(pid) for pid in pids), "the child and its own child are gone")
    assert_nothing_is_left(before_train)
    again = run("improve", "unsteady")  # the limit is no part of a key
    assert again.returncode == 0, again.stderr
    assert digests(before_train, "unsteady") == digests(calm, "unsteady")


def test_what_raises_in_train_is_not_tried_again_and_its_traceback_is_kept(run: Run, before_train: Home, calm: Home, tmp_path: Path):
    tried = tmp_path / "tried"
    line = said(run("improve", "unsteady", RAISE_IN_TRAIN="1", TRIED=str(tried)))
    assert line.startswith("roundhouse: unsteady r1 main/train: ValueError: learning_rate must not be a fish; its traceback is in ")
    assert tried.read_text().splitlines() == ["train None"]
    traceback = Path(line.rpartition(" ")[2])
    assert "in train" in traceback.read_text() and "must not be a fish" in traceback.read_text()
    assert_nothing_is_left(before_train)
    assert run("improve", "unsteady").returncode == 0
    assert digests(before_train, "unsteady") == digests(calm, "unsteady")
    assert not traceback.exists()


def test_a_completion_that_breaks_its_verifier_stays_undecided_by_name(run: Run, home: Home, model: Path):
    refused = said(run(*words(model), BREAKS="all"))
    assert "verifier Picky breaks at completion " in refused
    assert "RecursionError: nested too deep" in refused
    ended = run("improve", "unsteady", BREAKS="one")  # 1 of 144, below the limit of a twentieth
    assert ended.returncode == 0, ended.stderr
    verdicts = _table(home, records.VERDICTS, "main/verify")
    completions = {row["completion_id"]: row for row in _table(home, records.COMPLETIONS, "main/sample")}
    (poisoned,) = [row for row in verdicts if row["outcome"] == "undecided"]
    assert poisoned["reason"] == "the verifier raised RecursionError: nested too deep"
    assert completions[poisoned["completion_id"]]["sample_index"] == 0
    assert len(verdicts) == len(completions)


def _table(home: Home, spec: Any, stage: str) -> list[dict[str, Any]]:
    found = digests(home, "unsteady")[f"1/{stage}"]
    return tables.read([home.store / "artifacts" / d[:2] / d / f"{spec.name}.parquet" for d in found], spec).to_pylist()


def test_a_problem_that_the_template_refuses_or_the_model_cannot_hold_is_named(run: Run, home: Home, model: Path, tmp_path: Path):
    strict = tmp_path / "strict"
    shutil.copytree(model, strict)
    template = strict / "chat_template.jinja"
    template.write_text(
        "{% if messages and '13' in messages[0]['content'] %}{{ raise_exception('no thirteen') }}{% endif %}" + template.read_text()
    )
    line = said(run(*words(strict)))
    assert "cannot be put to the model (TemplateError: no thirteen); mend its prompt, or leave the problem out" in line
    assert line.startswith("roundhouse: problem ")

    narrow = tmp_path / "narrow"
    shutil.copytree(model, narrow)
    config = json.loads((narrow / "config.json").read_text())
    (narrow / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 12}))
    line = said(run("improve", "narrow", *words(narrow)[1:]))
    assert line.startswith("roundhouse: problem ")
    assert "passes the model's 12 positions" in line and "lower max_new_tokens to" in line
    assert_nothing_is_left(home)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A Prefect server for a test that kills it: its API address and its process."""
    code = (
        "import json, sys; from pathlib import Path; from lib.home import Home; from flows.server import prefect_server\n"
        "home = Home(Path(sys.argv[1]))\n"
        "with prefect_server(home) as url:\n"
        "    print(url, json.loads((home.prefect / 'server.json').read_text())['server'], flush=True); sys.stdin.read()"
    )
    given = {**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(tmp_path / "prefect")}
    given.pop("PREFECT_API_URL", None)
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=given, cwd=ROOT
    )
    assert holder.stdout is not None
    url, pid = holder.stdout.readline().split()
    yield url, int(pid)
    holder.communicate(timeout=60)


def test_a_lost_prefect_server_ends_in_one_line_and_the_same_command_goes_on(
    run: Run, before_train: Home, calm: Home, own_server: tuple[str, int], tmp_path: Path
):
    url, pid = own_server
    marker = tmp_path / "hangs"
    flow = subprocess.Popen(
        command(before_train, "improve", "unsteady"),
        env=environment(before_train, url, HANG_IN_TRAIN=str(marker)),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    await_that(marker.exists, "the campaign trains")
    os.kill(pid, signal.SIGKILL)
    stdout, stderr = flow.communicate(timeout=PATIENCE)  # Prefect alone asks a lost server for many minutes
    line = said(subprocess.CompletedProcess([], flow.returncode, stdout, stderr))
    assert line == f"roundhouse: the Prefect server at {url} went away; what is done is kept, and the same command continues"
    children = [int(one) for one in marker.read_text().split()]
    await_that(lambda: not any(psutil.pid_exists(one) for one in children), "the stage's processes are gone")
    assert_nothing_is_left(before_train)
    again = run("improve", "unsteady")
    assert again.returncode == 0, again.stderr
    assert digests(before_train, "unsteady") == digests(calm, "unsteady")


def test_a_lost_mlflow_costs_no_round_and_publish_delivers(run: Run, before_train: Home, calm: Home):
    gone = "http://127.0.0.1:9"  # the port of a service that nobody runs
    ended = run("improve", "unsteady", MLFLOW_TRACKING_URI=gone)
    assert ended.returncode == 0, ended.stderr
    assert f"MLflow at {gone}" in ended.stderr and "wait in the outbox for `roundhouse publish`" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert digests(before_train, "unsteady") == digests(calm, "unsteady")
    assert "events still wait" in said(run("publish", MLFLOW_TRACKING_URI=gone))
    delivered = run("publish")
    assert delivered.returncode == 0, delivered.stderr
    assert not list((before_train.outbox / "pending").iterdir())
    assert publish(before_train.outbox, before_train.mlflow_uri).count == 0
