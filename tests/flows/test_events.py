"""What rounds tell Prefect: one event for every outcome, and an automation that alerts when one fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lib.home import Home
from tests.flows.conftest import Run, environment
from tests.flows.living import eventually
from tests.flows.telling import PATIENCE_SECONDS, told
from tests.flows.test_kills import BROKEN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
ALERT = ROOT / "automations" / "alert-on-failure.yaml"


@pytest.fixture
def words(model: Path, tmp_path: Path) -> tuple[str, ...]:
    """A campaign whose trainer fails where BREAK is set; its own name, for a server keeps what all tests told it."""
    name = f"told-{tmp_path.name[-20:].replace('_', '-').strip('-')}-{os.getpid()}"
    (tmp_path / "fragile.py").write_text(BROKEN)
    recipe = str(tmp_path / "fragile.py")
    return ("improve", name, "--recipe", recipe, "--model", str(model), "--count", "40", "--held-out", "8", "--rounds", "1")


@pytest.fixture
def calls() -> Iterator[tuple[str, list[Any]]]:
    """The address of a webhook on loopback, and what it was called with."""
    heard: list[Any] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", heard
    server.shutdown()
    server.server_close()


def names(found: list[dict[str, Any]]) -> list[str]:
    return [event["event"].removeprefix("roundhouse.round.") for event in found]


def test_a_round_that_fails_alerts_and_one_that_is_decided_is_told_once(
    run: Run, home: Home, server: str, words: tuple[str, ...], calls: tuple[str, list[Any]], tmp_path: Path
):
    campaign, (hook, heard) = words[1], calls
    create_alert(home, server, hook, tmp_path)
    failed = run(*words, BREAK="1")
    assert failed.returncode == 1
    eventually(lambda: heard, "the webhook was never called", PATIENCE_SECONDS)
    assert heard[0]["campaign"] == campaign
    assert heard[0]["round"] == 1
    assert heard[0]["error"] == "StageFailed"
    assert "broken on purpose" in heard[0]["text"]
    (failure,) = told(server, campaign, 1)
    assert failure["event"] == "roundhouse.round.failed"
    assert "\n" not in failure["payload"]["reason"]

    assert run(*words).returncode == 0
    _, accepted = told(server, campaign, 2)
    record = json.loads((home.campaigns / campaign / "round-001" / "round.json").read_text())
    assert accepted["event"] == "roundhouse.round.accepted"
    assert accepted["resource"]["prefect.resource.name"] == campaign
    payload = accepted["payload"]
    assert (payload["round"], payload["attempt"], payload["decision"]) == (1, 1, record["decision"]["sentence"])
    value = next(r["value"] for r in record["metrics"] if (r["split"], r["metric"], r["slice"]) == ("validation", "pass_at_1", "all"))
    assert payload["figures"]["validation/pass_at_1"] == value
    assert payload["seconds"] > 0
    runs = {related["prefect.resource.id"]: related for related in accepted["related"]}
    assert runs[f"prefect.flow-run.{record['flow_run']}"]["prefect.resource.name"] == f"{campaign} round 1"

    assert run("improve", campaign).returncode == 0
    assert json.loads(run("rerun", campaign, "--round", "1", "--from", "train", "--json").stdout)["same"]
    assert run("improve", campaign, "--rounds", "2", "--json", BREAK="1").returncode == 1
    # had the same been told again, it would stand before the last one
    assert names(told(server, campaign, 3)) == ["failed", "accepted", "failed"]
    eventually(lambda: len(heard) == 2, "the webhook was not called again", PATIENCE_SECONDS)
    assert heard[1]["round"] == 2


def create_alert(home: Home, server: str, hook: str, folder: Path) -> None:
    """By the file's own lines, typed into a shell, with another address."""
    lines = re.findall(r"^#        (\S.*)$", ALERT.read_text(), re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["ID=$(python", "sed", "prefect"]
    (folder / "automations").symlink_to(ALERT.parent)
    ours = environment(home, server)
    ours["PATH"] = f"{Path(sys.executable).parent}:{ours['PATH']}"
    typed = "\n".join(["set -e", *lines]).replace("https://example.org/hook", hook)
    done = subprocess.run(["bash", "-c", typed], env=ours, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a round failed" in done.stdout
    assert "a run was killed" in done.stdout


def test_a_round_that_the_gate_rejects_is_told_as_rejected(run: Run, home: Home, server: str, words: tuple[str, ...]):
    done = run(*words, "--set", "gate.margin=0")  # a model that is no better is not accepted either
    assert done.returncode == 0, done.stderr
    (event,) = told(server, words[1], 1)
    assert event["event"] == "roundhouse.round.rejected"
    assert event["payload"]["decision"].startswith("rejected: ")


def test_a_round_that_a_worker_ran_is_told_before_its_process_ends(run: Run, home: Home, server: str, words: tuple[str, ...]):
    assert run(*words[:-1], "0").returncode == 0
    ours = environment(home, server)

    def prefect(*given: str) -> None:
        done = subprocess.run([sys.executable, "-m", "prefect", *given], env=ours, cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr

    prefect("work-pool", "create", "rounds", "--type", "process", "--overwrite")
    prefect("--no-prompt", "deploy", "--name", "improve")
    prefect("deployment", "run", "improve/improve", "-p", f"campaign={words[1]}", "-p", "rounds=1")
    prefect("worker", "start", "--pool", "rounds", "--run-once")
    (event,) = told(server, words[1], 1)  # the base model is no round: what was told of it would stand first
    assert event["event"] == "roundhouse.round.accepted"
    assert event["payload"]["round"] == 1
