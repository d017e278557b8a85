"""What `roundhouse up` starts: how each is called, where it is, whether it answers, and the note of it that other commands read.

`up/state.json` in the home says who runs and where; it is believed only as far as the processes that it names carry its mark.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from flows import owned
from flows.server import answers, server_command
from lib.files import write_json
from lib.home import Home

ROOT = Path(__file__).resolve().parent.parent
"""Where prefect.yaml is, and what processes of ours run in."""

POOL = "rounds"
"""The work pool that prefect.yaml names."""

WORKER = "roundhouse"
"""The worker's name; one that comes after it takes its place in the Prefect UI."""


@dataclass(slots=True)
class Service:
    """One of them; without a command it is somebody else's, and only looked at."""

    name: str
    what: str
    address: str
    command: list[str]
    is_ready: Callable[[], bool]
    process: subprocess.Popen[bytes] | None = None
    restarts: list[float] = field(default_factory=list)

    def start(self, home: Home, mark: str) -> None:
        """Start it in a session of its own, so that Ctrl-C in the terminal reaches `up` alone; it logs to up/NAME.log."""
        with (home.up / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=ROOT,
                env={**os.environ, owned.MARK: mark},
            )


def prefect_service(port: int) -> Service:
    url = f"http://127.0.0.1:{port}"
    return Service("prefect", "Prefect UI", url, server_command(port), lambda: answers(f"{url}/api/health"))


def mlflow_service(port: int, tracking_uri: str) -> Service:
    """The MLflow server of the home's own database; where MLFLOW_TRACKING_URI names a server, that one is looked at."""
    if tracking_uri.startswith("http"):
        return Service("mlflow", "MLflow UI", tracking_uri, [], lambda: answers(f"{tracking_uri}/health"))
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "flows.mlflow_server", tracking_uri, str(port)]
    return Service("mlflow", "MLflow UI", url, command, lambda: answers(f"{url}/health"))


def worker_service(prefect: str, since: datetime) -> Service:
    """The worker that takes rounds from the pool, known to the server since it was started."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", WORKER]
    return Service("worker", f"work pool '{POOL}' and a worker", f"{prefect}/work-pools", command, lambda: worker_answers(prefect, since))


def worker_answers(prefect: str, since: datetime) -> bool:
    """Whether the server at an address has heard of our worker since then, and counts it as there."""
    request = urllib.request.Request(
        f"{prefect}/api/work_pools/{POOL}/workers/filter", data=b"{}", headers={"Content-Type": "application/json"}
    )
    with contextlib.suppress(OSError, ValueError, KeyError):
        with urllib.request.urlopen(request, timeout=5) as reply:
            ours = [worker for worker in json.load(reply) if worker["name"] == WORKER]
        return any(w["status"] == "ONLINE" and datetime.fromisoformat(w["last_heartbeat_time"]) >= since for w in ours)
    return False


def write_state(home: Home, mark: str, since: datetime, services: list[Service]) -> None:
    """Note who runs and where."""
    rows = [{"name": s.name, "what": s.what, "address": s.address, "pid": s.process.pid if s.process else None} for s in services]
    write_json(home.up / "state.json", {"pid": os.getpid(), "mark": mark, "since": since.isoformat(), "services": rows})


def read_state(home: Home) -> dict[str, Any]:
    """The note of the last `up` of a home, empty where there is none or it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((home.up / "state.json").read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def standing(home: Home) -> list[dict[str, Any]]:
    """Prefect server, MLflow server, work pool and worker: address, pid, and whether each answers now."""
    state = read_state(home)
    noted = {row["name"]: row for row in state.get("services", [])}
    prefect = noted.get("prefect", {}).get("address", "")

    def row(name: str, what: str, address: str, is_ready: Callable[[], bool]) -> dict[str, Any]:
        pid = noted.get(name, {}).get("pid")
        lives = pid is not None and owned.is_marked(pid, state["mark"])
        outside = name in noted and pid is None
        return {"what": what, "address": address, "pid": pid if lives else None, "answers": (lives or outside) and is_ready()}

    mlflow = noted.get("mlflow", {}).get("address", "")
    since = datetime.fromisoformat(state["since"]) if state else datetime.now().astimezone()
    pool = f"{prefect}/work-pools" if prefect else ""
    return [
        row("prefect", "Prefect server", prefect, lambda: answers(f"{prefect}/api/health")),
        row("mlflow", "MLflow server", mlflow, lambda: answers(f"{mlflow}/health")),
        {**row("prefect", f"work pool '{POOL}'", pool, lambda: answers(f"{prefect}/api/work_pools/{POOL}")), "pid": None},
        row("worker", "worker", pool, lambda: worker_answers(prefect, since)),
    ]
