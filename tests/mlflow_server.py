"""A real MLflow server, started as `roundhouse up` starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.environment import quiet_environment
from tests.prefect_server import free_port

ROOT = Path(__file__).resolve().parents[1]

START_SECONDS = 400


@contextmanager
def mlflow_server(root: Path) -> Iterator[str]:
    """The address of a server over the home in this folder, ended with the block."""
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    words = ["-m", "flows.mlflow_server", f"sqlite:///{root / 'mlflow.db'}", str(port)]
    given = {**os.environ, **quiet_environment(), "PYTHONPATH": str(ROOT)}
    with (root / "mlflow.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, *words], env=given, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"http://127.0.0.1:{port}"):
            assert server.poll() is None and time.monotonic() < deadline, (root / "mlflow.log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/health", timeout=5).close()
    except OSError:
        return False
    return True
