"""`roundhouse status`: of a campaign that really runs elsewhere, live in a terminal, and on a pipe."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows import scheduled
from flows.standing import Standing
from lib.campaign import CampaignFolder
from lib.home import Home
from lib.job import Label
from tests.begun_campaign import begun, ended, tell
from tests.flows.conftest import ROOT, SMALL, command, environment
from tests.terminal import Terminal

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]|\x1b\[[0-9;]*4[0-9]m")


def shown(home: Home, *words: str, server: str | None = None, **more: str) -> str:
    done = subprocess.run(
        command(home, *words), env=environment(home, server, **more), cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_on_a_pipe_there_are_plain_lines_and_in_json_numbers(home: Home):
    folder = begun(home, name="a-name-as-long-as-people-give-them")
    ended(folder, 0)
    ended(folder, 1)
    for words in (("status",), ("status", folder.name)):
        found = shown(home, *words)
        assert "\x1b" not in found
        assert "0.500±0.030" in found
        narrow = shown(home, *words, COLUMNS="80")
        assert max(map(len, narrow.splitlines())) <= 80
    found = json.loads(shown(home, "status", folder.name, "--json"))
    assert found["figures"]["pass_at_1"] == {"value": 0.5, "stderr": 0.03, "n": 9}
    assert found["history"][1]["figures"]["pass_at_1"]["value"] == 0.5
    assert found["next"] == [{"round": 2}]
    assert [row["campaign"] for row in json.loads(shown(home, "status", "--json"))["campaigns"]] == [folder.name]


def test_status_needs_no_server_and_imports_nothing_heavy(home: Home):
    begun(home)
    assert scheduled.upcoming(home) == []
    code = (
        "import sys; sys.argv = ['roundhouse', 'status']\nfrom flows import cli\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'prefect', 'mlflow', 'duckdb', 'transformers') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(home, None), cwd=ROOT, capture_output=True, text=True)
    assert "idle" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("stop", ["ctrl-c", "sigterm"])
def test_watch_redraws_across_runs_and_leaves_the_terminal_as_it_was(home: Home, stop: str):
    folder = begun(home)
    seen = Terminal(command(home, "status", "--watch"), environment(home, None, TERM="xterm"))
    seen.until(lambda text: "idle" in text)
    for number in (1, 2):
        with folder.hold(wait=False):
            tell(folder, Label("one", number, "main", "train"), 0.5)
            seen.until(lambda text, number=number: f"round {number}: main/train" in text)
    seen.press(b"\x03") if stop == "ctrl-c" else seen.send(signal.SIGTERM)
    assert seen.end() == 0
    assert seen.text.count("\x1b[?25l") == seen.text.count("\x1b[?25h") == 1  # the cursor was hidden, and is back
    assert seen.text.rindex("\x1b[?25h") > seen.text.rindex("main/train")
    assert "Traceback" not in seen.text


def test_without_colour_where_that_is_asked_for(home: Home):
    begun(home)
    seen = Terminal(command(home, "status"), environment(home, None, TERM="xterm", NO_COLOR="1"))
    assert seen.end() == 0
    assert "idle" in seen.text
    assert not COLOUR.search(seen.text)


def test_watch_on_a_pipe_says_what_is_new_in_plain_lines(home: Home):
    folder = begun(home)
    with folder.hold(wait=False):
        tell(folder, Label("one", 1, "main", "sample"), 0.5)
        watch = subprocess.Popen(
            command(home, "status", "--watch"), env=environment(home, None), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert watch.stdout is not None
        assert watch.stdout.readline() == "one: round 1: main/sample\n"
        tell(folder, Label("one", 1, "main", "train"), 0.5)
        assert watch.stdout.readline() == "one: round 1: main/train\n"
    watch.send_signal(signal.SIGINT)
    assert watch.communicate(timeout=60)[0] == ""
    assert watch.returncode == 0


def test_watching_as_json_is_refused_in_a_line(home: Home):
    done = subprocess.run(
        command(home, "status", "--watch", "--json"), env=environment(home, None), cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "roundhouse: --watch is for people, and --json for programs, which can ask again; leave one of them out\n"


@pytest.mark.slow
def test_a_campaign_that_runs_in_another_process_is_seen_in_every_form(home: Home, server: str, model: Path):
    words = ("improve", "far", "--model", str(model), "--recipe", "no_filter", "--set", "trainer.replay=[]", *SMALL, "--rounds", "1")
    words = (*words, "--set", "trainer.steps=4000")  # long enough to be looked at, on a busy machine too
    with subprocess.Popen(command(home, *words), env=environment(home, server), stderr=subprocess.PIPE, text=True) as flow:
        try:
            await_stage(home, flow, "main/train")
            look(home, flow)
        finally:
            flow.send_signal(signal.SIGINT)
            flow.communicate(timeout=60)
    now = json.loads(shown(home, "status", "far", "--json"))
    assert (now["state"], now["reason"], now["holder"]) == ("stopped", "it was interrupted", None)


def look(home: Home, flow: subprocess.Popen[str]) -> None:
    """Status in every form, while the campaign trains."""
    now = json.loads(shown(home, "status", "far", "--json"))
    assert (now["state"], now["holder"]["pid"]) == ("running", flow.pid)
    assert (now["now"]["stage"], now["now"]["shard"], now["now"]["shards"]) == ("main/train", 1, 1)
    assert now["now"]["stage_seconds_left"] > 0
    assert [step["stage"] for step in now["next"]] == ["evaluate/validation", "evaluate/test"]
    plain = shown(home, "status", COLUMNS="80")
    assert f"far: round 1: main/train (process {flow.pid} on " in plain
    assert re.search(r" \d+%   \d+:\d\d so far, about \d+:\d\d left", plain)
    assert "far (no_filter): running, round 1 of 1" in shown(home, "status", "far")
    seen = Terminal(command(home, "status", "far", "--watch"), environment(home, None, TERM="xterm"))
    seen.until(lambda text: text.count("main/train") > 2)
    flow.send_signal(signal.SIGINT)
    seen.until(lambda text: "stopped" in text)
    seen.press(b"\x03")
    assert seen.end() == 0


def await_stage(home: Home, flow: subprocess.Popen[str], stage: str) -> None:
    """Until the campaign works at a stage."""
    standing = Standing(CampaignFolder(home, "far"))
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and flow.poll() is None:
        if (standing.facts()["now"] or {}).get("stage") == stage:
            return
        time.sleep(0.05)
    raise AssertionError(f"the campaign never came to {stage}")


@pytest.mark.slow
def test_the_next_scheduled_run_is_named_with_its_time(home: Home, server: str, monkeypatch: pytest.MonkeyPatch):
    begun(home)
    code = (
        "import sys; from datetime import UTC, datetime, timedelta; from prefect import flow\n"
        "from prefect.client.orchestration import get_client; from prefect.states import Scheduled\n"
        "@flow(name='standing-test')\ndef nothing(campaign: str): pass\n"
        "with get_client(sync_client=True) as client:\n"
        "    made = client.create_deployment(client.create_flow(nothing), 'nightly-one', parameters={'campaign': 'one'})\n"
        "    at = Scheduled(scheduled_time=datetime.now(UTC) + timedelta(hours=3))\n"
        "    client.create_flow_run_from_deployment(made, state=at)\n"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(home, server), cwd=ROOT, check=True, timeout=120)
    monkeypatch.setenv("PREFECT_API_URL", server)
    [run] = [run for run in scheduled.upcoming(home) if run["deployment"] == "nightly-one"]
    assert run["campaign"] == "one"
    assert 2.9 * 3600 < run["at"] - time.time() < 3.1 * 3600
    found = shown(home, "status", "one", server=server)
    assert re.search(r"scheduled: nightly-one at \d\d \w+ \d\d:\d\d:\d\d, in (3:0\d|2:5\d):\d\d", found)
    assert "scheduled" not in shown(home, "status", "one", PREFECT_API_URL="http://127.0.0.1:9/api")
