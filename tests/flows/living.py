"""A `roundhouse up` of a test's own: started in another folder, asked, and ended with everything it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from flows import owned
from flows.up_services import read_state
from lib.home import Home
from tests.flows.conftest import ROOT, command

DEADLINE_SECONDS = 600.0
"""A slow machine that does other things as well."""


@dataclass
class Living:
    """One home and the `up` that runs in it, one after the other."""

    home: Home
    ports: list[int] = field(default_factory=lambda: free_ports(2))
    process: subprocess.Popen[str] | None = None

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}/api"

    @property
    def environment(self) -> dict[str, str]:
        """This home's own Prefect database; no address is given, so that commands have to find the server."""
        given = {**os.environ, "PYTHONPATH": str(ROOT), "ROUNDHOUSE_HOME": str(self.home.root)}
        return {name: value for name, value in given.items() if name not in ("PREFECT_HOME", "PREFECT_LOCAL_STORAGE_PATH")}

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """`roundhouse WORDS` in this home."""
        return subprocess.run(
            command(self.home, *words), env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_SECONDS, **options
        )

    def words(self) -> list[str]:
        return command(self.home, "up", "--prefect-port", str(self.ports[0]), "--mlflow-port", str(self.ports[1]))

    def start(self, elsewhere: Path) -> str:
        """Start it from another folder than the code's, and return what it prints until it has all said."""
        self.process = subprocess.Popen(
            self.words(), env=self.environment, cwd=elsewhere, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        printed = ""
        while "Ctrl-C stops" not in printed:
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read() if self.process.stderr else ""
            printed += line
        return printed

    @property
    def mark(self) -> str:
        return str(read_state(self.home)["mark"])

    def pids(self) -> dict[str, int]:
        return {row["name"]: row["pid"] for row in read_state(self.home)["services"]}

    def answers(self) -> bool:
        return self.run("up", "--check").returncode == 0

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Its exit status."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode

    def end(self) -> None:
        """Whatever a test left, ended."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        if "mark" in read_state(self.home):
            owned.end(lambda: owned.marked(self.mark), 10, (signal.SIGKILL,))

    def asked(self, what: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows of Prefect's REST API."""
        found: list[dict[str, Any]] = self.request("POST", f"{what}/filter", {"limit": 200, **filters}).json()
        return found

    def request(self, verb: str, path: str, body: dict[str, Any]) -> httpx.Response:
        """Asked again while the server says that its database is busy, as Prefect's own client does."""

        def reply() -> httpx.Response | None:
            found = httpx.request(verb, f"{self.api}/{path}", json=body, timeout=60.0)
            return found if found.status_code != httpx.codes.SERVICE_UNAVAILABLE else None

        answered: httpx.Response = eventually(reply, f"{path} is busy").raise_for_status()
        return answered

    def flow_runs(self, flow: str) -> list[dict[str, Any]]:
        """Every run of a flow that began or was skipped, the earliest first."""
        wanted = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"}
        return [run for run in self.asked("flow_runs", wanted) if run["state_type"] != "SCHEDULED"]


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return found


def eventually(claim: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """What a claim says once it says anything."""
    deadline = time.monotonic() + seconds
    while not (found := claim()):
        assert time.monotonic() < deadline, what
        time.sleep(0.5)
    return found
