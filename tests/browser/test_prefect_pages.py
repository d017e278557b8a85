"""What a person finds on a real Prefect server's pages after a campaign ran there, and behind the link to MLflow."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lib.home import Home
from lib.small_model import SmallLlama
from tests.browser.looking import chromium, looking
from tests.flows.conftest import SMALL, command, environment
from tests.prefect_server import free_port, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def mlflow(home: Home) -> Iterator[str]:
    """The address of a real MLflow server."""
    port = free_port()
    words = ["-m", "flows.mlflow_server", f"sqlite:///{home.root / 'mlflow.db'}", str(port)]
    with (home.root / "mlflow.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, *words], env=environment(home, None), cwd=ROOT, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 400
    try:
        while not answers(address):
            assert server.poll() is None, (home.root / "mlflow.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(60)


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_pages_show_the_round_its_stages_its_figures_and_the_way_to_mlflow(home: Home, mlflow: str, tmp_path: Path):
    chromium()
    model = tmp_path / "tiny"
    model.mkdir()
    SmallLlama(hidden_size=16, layers=1, heads=2, intermediate_size=32).build(model, 0)
    words = ["improve", "seen", "--model", str(model), "--recipe", "no_filter", "--set", "trainer.replay=[]", *SMALL, "--rounds", "1"]
    with serving(tmp_path / "prefect") as server, looking() as look:
        ours = environment(home, server.api, MLFLOW_TRACKING_URI=mlflow)
        ran = subprocess.run(command(home, *words), env=ours, cwd=ROOT, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        record = json.loads((home.campaigns / "seen" / "round-001" / "round.json").read_text())

        look.page.goto(f"{server.address}/runs/flow-run/{record['flow_run']}")
        look.sees("seen round 1")
        look.page.get_by_text("Task Runs", exact=True).click()
        for stage in ("main/sample", "main/verify", "main/filter", "main/train", "evaluate/validation sample"):
            look.sees(f"seen r1 {stage}")
        look.keep("prefect-stages")

        look.page.get_by_text("Artifacts", exact=True).click()
        look.sees("seen-r1-round-metrics")
        look.page.get_by_text("seen-r1-round-page").first.click()
        look.sees(record["decision"]["sentence"])
        look.sees("pass_at_1")
        look.keep("prefect-round")
        link = look.page.get_by_text("This round in MLflow").first.get_attribute("href")
        assert look.hosts == {"127.0.0.1"}, "a page asked for something elsewhere"

        look.page.goto(link)
        look.sees("1 matching run")
        look.sees("round 1")
        look.keep("mlflow-round")
        assert look.hosts == {"127.0.0.1"}
