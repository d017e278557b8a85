"""`roundhouse lm-eval` as people run it: its table, its JSON, and a Ctrl-C that leaves nothing running."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lib.home import Home
from tests import lm_eval_stand_in
from tests.flows.conftest import ROOT, command, environment

pytestmark = pytest.mark.slow


@pytest.fixture
def ready(home: Home, tmp_path: Path):
    _, made = lm_eval_stand_in.campaign(home)
    place = lm_eval_stand_in.write(tmp_path / "site")
    return (home, made[1]), environment(home, None, PYTHONPATH=f"{place}:{ROOT}", PIDS=str(tmp_path / "pids"))


def test_figures_are_printed_as_a_table_or_as_json(ready):
    (home, first), given = ready
    words = command(home, "lm-eval", "demo", "--tasks", "gsm8k, piqa", "--round", "1", "--limit", "20")
    shown = subprocess.run(words, capture_output=True, text=True, env=given, cwd=ROOT, check=True).stdout
    assert f"demo: round 1 ({first[:12]}) by lm-evaluation-harness 0.4.13" in shown
    assert "gsm8k" in shown
    assert "0.050±0.050" in shown
    told = json.loads(subprocess.run([*words, "--json"], capture_output=True, text=True, env=given, cwd=ROOT, check=True).stdout)
    assert [row["value"] for row in told["metrics"]] == [0.05, 0.5, 0.04, 0.5]


def test_what_cannot_be_asked_is_one_line(ready):
    (home, _), given = ready
    for words, line in (
        (("--tasks", " , "), "no tasks are named"),
        (("--tasks", "piqa", "--include", "/nowhere"), "there is no such folder"),
    ):
        ended = subprocess.run(command(home, "lm-eval", "demo", *words), capture_output=True, text=True, env=given, cwd=ROOT, check=False)
        assert ended.returncode == 1
        assert ended.stderr.startswith("roundhouse: ")
        assert line in ended.stderr
        assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_nothing_of_it_runs_on_after_the_command(ready, ending):
    (home, _), given = ready
    running = subprocess.Popen(command(home, "lm-eval", "demo", "--tasks", "endless"), env=given, cwd=ROOT, stderr=subprocess.PIPE)
    pids = Path(given["PIDS"])
    deadline = time.monotonic() + 60
    while not (pids.is_file() and len(pids.read_text().split()) == 2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(ending)
    running.communicate(timeout=30)
    assert running.returncode == (130 if ending == signal.SIGINT else -signal.SIGKILL)
    while any(is_running(int(pid)) for pid in pids.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
