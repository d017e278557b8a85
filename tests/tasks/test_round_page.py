from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest

from lib.home import Home
from lib.round_record import RoundRecord
from tasks.round_page import page

EVENT = "e" * 64
ROWS: list[dict[str, Any]] = [
    {"split": "validation", "evaluator": "PassAtK", "metric": "pass_at_1", "slice": "all", "value": 0.25, "stderr": None},
    {"split": "validation", "evaluator": "PassAtK", "metric": "pass_at_1", "slice": "difficulty=3", "value": 0.125, "stderr": None},
]
RECORD = RoundRecord("demo", 2, 3, "rejected", made={"policy": "a" * 64}, metrics=ROWS, decision={"sentence": "rejected: no better"})


@pytest.fixture
def mlflow() -> Iterator[str]:
    """The address of a server that knows one experiment, as MLflow answers for it."""

    class Known(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = unquote(self.path) == "/api/2.0/mlflow/experiments/get-by-name?experiment_name=roundhouse/demo"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"experiment": {"experiment_id": "7"}} if found else {}).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Known)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_it_says_what_was_decided_on_which_figures(home: Home):
    said = page(RECORD, EVENT, home)
    assert said.startswith("# demo: round 2, attempt 3\n\nrejected: no better\n")
    assert "| validation | PassAtK | pass_at_1 | 0.25 |  |" in said
    assert "0.125" not in said
    assert "roundhouse lineage model aaaaaaaaaaaa" in said


def test_without_a_server_it_says_what_serves_the_pages(home: Home):
    assert f"mlflow ui --backend-store-uri sqlite:///{home.root / 'mlflow.db'}" in page(RECORD, EVENT, home)


def test_it_links_to_the_run_of_this_very_round(home: Home, mlflow: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow)
    link = f"[This round in MLflow]({mlflow}/#/experiments/7/runs?searchFilter=tags.`roundhouse.event` = '{EVENT}'&orderByKey="
    assert link in unquote(page(RECORD, EVENT, home))


def test_before_the_experiment_is_there_it_links_to_where_that_will_be(home: Home, mlflow: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow)
    other = RoundRecord("other", 1, 1)
    assert f"({mlflow}/#/experiments?experimentSearchFilter=roundhouse%2Fother)" in page(other, EVENT, home)


def test_the_pages_of_roundhouse_up_are_linked_to(home: Home, mlflow: str):
    home.up.mkdir()
    (home.up / "state.json").write_text(json.dumps({"services": [{"name": "mlflow", "address": mlflow}]}))
    assert f"({mlflow}/#/experiments/7/runs" in page(RECORD, EVENT, home)
