"""The processes of a fault campaign: started in a home of their own, found again by it, and none left when it is over."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from lib.home import Home

ROOT = Path(__file__).resolve().parent.parent
CAMPAIGN = "faults"
WORDS = ["--recipe", str(ROOT / "bench" / "faults_recipe.py"), "--count", "1030", "--held-out", "8"]
"""How the campaign begins: four shards of training problems a round, one for each held-out split."""

START_SECONDS = 240.0
"""Longest start of a server on a machine that has much else to do."""

OURS = ("PREFECT_", "MLFLOW_", "ROUNDHOUSE_")
"""Variables that would lead a child elsewhere than where this bench wants it."""


def environment(home: Home, **more: str) -> dict[str, str]:
    """What every process of a home is started with."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    quiet = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_LOGGING_LEVEL": "WARNING", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return {**kept, **quiet, "PYTHONPATH": str(ROOT), "ROUNDHOUSE_HOME": str(home.root), "PREFECT_HOME": str(home.prefect), **more}


def started(home: Home, log: str, *words: str, **more: str) -> subprocess.Popen[bytes]:
    """`python -m WORDS` in a home; what it says is added to HOME/logs/LOG."""
    (home.root / "logs").mkdir(parents=True, exist_ok=True)
    with (home.root / "logs" / log).open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environment(home, **more),
            cwd=ROOT,
            start_new_session=True,
        )


def processes(home: Home) -> list[psutil.Process]:
    """Every running process that was started in a home, the children of children too."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("ROUNDHOUSE_HOME") == str(home.root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def named(home: Home, *words: str) -> list[psutil.Process]:
    """Those whose command line holds all of these words."""
    found = []
    for process in processes(home):
        with contextlib.suppress(psutil.Error):
            if all(word in " ".join(process.cmdline()) for word in words):
                found.append(process)
    return found


def stage_children(home: Home) -> list[psutil.Process]:
    """The children that work at stages: forks of the forkserver that lead a session of their own."""
    found = []
    for process in named(home, "forkserver"):
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == process.pid:
                found.append(process)
    return found


def end_all(home: Home) -> None:
    """Kill whatever still runs in a home."""
    for process in processes(home):
        with contextlib.suppress(psutil.Error):
            process.kill()


def gone(home: Home, seconds: float) -> list[str]:
    """What still runs in a home after that long, as command lines; empty as soon as nothing does."""
    deadline = time.monotonic() + seconds
    while left := processes(home):
        if time.monotonic() > deadline:
            return [" ".join(process.cmdline())[:120] for process in left if process.is_running()]
        time.sleep(0.2)
    return []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server on loopback that can be killed and started again at the same address."""

    def __init__(self, home: Home, name: str, health: str, words: list[str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._home, self._name, self._health = home, name, health
        self._words = [*words, "--host", "127.0.0.1", "--port", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = started(self._home, f"{self._name}.log", *self._words)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}{self._health}", timeout=5).is_success:
                    return
            time.sleep(0.2)
        raise SystemExit(f"the {self._name} server does not start; its log is {self._home.root / 'logs' / self._name}.log")

    def kill(self) -> None:
        """SIGKILL to it and to its workers."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        self.start()
        try:
            yield self
        finally:
            self.kill()


def prefect(home: Home) -> Server:
    return Server(home, "prefect", "/api/health", ["prefect", "server", "start"])


def mlflow_file(home: Home) -> str:
    """The address of a home's own MLflow database, whatever the environment says."""
    return f"sqlite:///{home.root / 'mlflow.db'}"


def mlflow(home: Home) -> Server:
    store = ["--backend-store-uri", mlflow_file(home), "--artifacts-destination", str(home.root / "mlartifacts"), "--workers", "1"]
    return Server(home, "mlflow", "/health", ["mlflow", "server", *store])


class Deployment:
    """The `improve` deployment of prefect.yaml on a server, and its flow runs."""

    def __init__(self, server: Server, home: Home) -> None:
        import yaml

        self._api = f"{server.url}/api"
        described = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
        self.pool = str(next(one for one in described if one["name"] == "improve")["work_pool"]["name"])
        for words in (
            ["work-pool", "create", self.pool, "--type", "process", "--overwrite"],
            ["--no-prompt", "deploy", "--name", "improve"],
        ):
            command = started(home, "deploy.log", "prefect", *words, PREFECT_API_URL=self._api)
            if command.wait() != 0:
                raise SystemExit(f"prefect {' '.join(words)} failed; see {home.root / 'logs' / 'deploy.log'}")

    def run(self, **parameters: Any) -> str:
        """A new flow run; returns its id."""
        deployment = self._asked("GET", "/deployments/name/improve/improve")["id"]
        return str(self._asked("POST", f"/deployments/{deployment}/create_flow_run", {"parameters": parameters})["id"])

    def state(self, run: str) -> str:
        """COMPLETED, CRASHED, RUNNING, …"""
        return str(self._asked("GET", f"/flow_runs/{run}")["state_type"])

    def give_up(self, run: str) -> None:
        """Call a run crashed that nobody runs any more, as its operator would on its page."""
        self._asked("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CRASHED"}, "force": True})

    def _asked(self, method: str, path: str, body: Any = None) -> Any:
        reply = httpx.request(method, f"{self._api}{path}", json=body, timeout=60)
        reply.raise_for_status()
        return reply.json()
