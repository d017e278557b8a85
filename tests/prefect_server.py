"""A Prefect server that a test may kill, stop and start again: one port, one database, leases on disk as `roundhouse` has them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from lib.environment import quiet_environment

START_SECONDS = 400


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PrefectServer:
    """Begun by `start`; whoever starts it ends it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"http://127.0.0.1:{free_port()}"
        self.api = f"{self.address}/api"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **quiet_environment(), "PREFECT_HOME": str(self.folder)}
        environment["PREFECT_UI_API_URL"] = self.api  # its pages would ask at 4200, whatever the port
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", self.address.rpartition(":")[2]]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the Prefect server did not start"
            time.sleep(0.2)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.api}/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def signal(self, number: signal.Signals) -> None:
        """To the server and whatever it started; a kill is waited for."""
        assert self._process is not None
        try:
            family = [*psutil.Process(self._process.pid).children(recursive=True), psutil.Process(self._process.pid)]
        except psutil.NoSuchProcess:
            return
        for process in family:
            process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()
            psutil.wait_procs(family, timeout=30)

    def ask(self, path: str, **body: Any) -> Any:
        """What the server's API answers to a POST."""
        reply = httpx.post(f"{self.api}{path}", json=body, timeout=60)
        reply.raise_for_status()
        return reply.json() if reply.content else None

    def make_limit(self, name: str, limit: int = 1) -> None:
        self.ask("/v2/concurrency_limits/", name=name, limit=limit)

    def taken(self, name: str) -> int:
        """How many slots of a limit are taken."""
        found = self.ask("/v2/concurrency_limits/filter")
        return next(limit["active_slots"] for limit in found if limit["name"] == name)


@contextmanager
def serving(folder: Path) -> Iterator[PrefectServer]:
    """A server for as long as the block runs, however often it is killed in there."""
    server = PrefectServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.signal(signal.SIGKILL)
