"""What an MLflow server takes is what a sqlite file takes: a round that made no model, and everything said twice."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from lib import events, seeds
from lib.events import CampaignEvent, DatasetRef, EvaluateEvent, FinalEvent, Measure, ModelRef, RoundEvent
from lib.publisher import publish
from lib.tracking import connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a real MLflow server, ended with the module."""
    home = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", str(home / "artifacts")]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([*command, *stores], stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 180
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (home / "log").read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def model(name):
    digest = seeds.digest(name)
    return ModelRef("policy", digest, f"store/artifacts/{digest[:2]}/{digest}")


def story():
    digest = seeds.digest("completions")
    table = DatasetRef("completions", "sample", digest, f"store/artifacts/{digest[:2]}/{digest}", 100, "completions/v1")
    start, made = model("r0"), model("r1")
    measure = (Measure("pass@1", "all", 0.5, 0.01, 400),)
    return [
        CampaignEvent("demo", "star", seeds.digest("recipe"), 7, (start,), {}, "flow-1"),
        RoundEvent("demo", 0, 1, (), (start,), (), {}, {}, True, "the base model", "flow-1"),
        EvaluateEvent("demo", 0, 1, start, "validation", measure, "flow-1"),
        RoundEvent("demo", 1, 1, (table,), (start,), (made,), {}, {"train/loss": 0.5}, True, "up 0.1", "flow-1"),
        FinalEvent("demo", 1, "one round asked for"),
    ]


def test_a_round_without_a_model_of_its_own_reaches_the_server_and_all_that_follows_it_too(server, tmp_path):
    for event in story():
        events.put(tmp_path / "outbox", event)
    done = publish(tmp_path / "outbox", server)
    assert (done.count, done.failed, done.reason) == (5, 0, "")
    for marker in (tmp_path / "outbox" / "published").iterdir():
        marker.unlink()
    for event in story():
        events.put(tmp_path / "outbox", event)
    assert publish(tmp_path / "outbox", server).failed == 0
    client = connect(server)
    runs = client.search_runs([client.get_experiment_by_name("roundhouse/demo").experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["demo", "evaluate validation", "round 0", "round 1"]
    assert client.get_model_version_by_alias("demo.policy", "champion").tags["roundhouse.digest"] == model("r1").digest
