"""The ways in which a struck campaign runs: by the command, or by a worker as flow runs of a deployment."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path
from typing import Protocol

import psutil

from bench.faults_place import CAMPAIGN, WORDS, Deployment, named, started
from lib.home import Home

ROUNDS = 2
OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
ASK_SECONDS = 0.5
"""Between two questions to a Prefect server."""

ORPHAN_SECONDS = 60.0
"""How long a run without a process may stay Running before its operator ends it."""


def words(model: Path, rounds: int = ROUNDS) -> list[str]:
    """The command that begins and continues the campaign."""
    return ["flows.cli", "improve", CAMPAIGN, *WORDS, "--model", str(model), "--rounds", str(rounds), "--json"]


class Runner(Protocol):
    """What starts a campaign and starts it again."""

    said: list[str]
    """Last words of starts that failed and were not killed themselves."""

    def start(self) -> None:
        """Go on with the campaign."""

    def alive(self) -> bool:
        """Whether this start has neither ended nor failed."""

    def flow(self) -> psutil.Process | None:
        """The process that runs the flow now."""

    def ended(self, seconds: float) -> bool | None:
        """Wait for the end of this start: whether the campaign is complete, or None if it does not end."""


class Command:
    """`roundhouse improve`, the same words each time."""

    def __init__(self, home: Home, model: Path, variables: dict[str, str]) -> None:
        self.said: list[str] = []
        self._home, self._words, self._variables = home, words(model), variables
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = started(self._home, "improve.log", *self._words, **self._variables)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def flow(self) -> psutil.Process | None:
        with contextlib.suppress(psutil.NoSuchProcess):
            if self._process is not None and self.alive():
                return psutil.Process(self._process.pid)
        return None

    def ended(self, seconds: float) -> bool | None:
        assert self._process is not None
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        if code > 0:
            self.said.append(last_line(self._home, "improve.log"))
        return code == 0


class Worker:
    """A worker, and flow runs of the deployment one after the other."""

    def __init__(self, home: Home, deployment: Deployment, variables: dict[str, str]) -> None:
        self.said: list[str] = []
        self._home, self._deployment, self._variables = home, deployment, variables
        self._worker: subprocess.Popen[bytes] | None = None
        self._run = ""
        self._state = ""
        self._asked = 0.0

    def start(self) -> None:
        """A worker unless one runs, and a new flow run."""
        self.start_worker()
        self._run, self._state = self._deployment.run(campaign=CAMPAIGN, rounds=ROUNDS, more=None), "SCHEDULED"

    def start_worker(self) -> None:
        if self._worker is None or self._worker.poll() is not None:
            name = f"faults-{time.time_ns()}"
            fast = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_LOGGING_LEVEL": "INFO"}
            command = ["prefect", "worker", "start", "--pool", self._deployment.pool, "--name", name]
            self._worker = started(self._home, "worker.log", *command, **self._variables, **fast)

    def worker(self) -> psutil.Process | None:
        with contextlib.suppress(psutil.NoSuchProcess):
            if self._worker is not None and self._worker.poll() is None:
                return psutil.Process(self._worker.pid)
        return None

    def stop(self) -> None:
        """End the worker, which has nothing left to do."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()

    def alive(self) -> bool:
        if time.monotonic() - self._asked > ASK_SECONDS:
            self._asked, self._state = time.monotonic(), self._deployment.state(self._run)
        return self._state not in OVER

    def flow(self) -> psutil.Process | None:
        return next(iter(named(self._home, "prefect", "engine")), None)

    def ended(self, seconds: float) -> bool | None:
        deadline, alone_since = time.monotonic() + seconds, 0.0
        while self.alive():
            if time.monotonic() > deadline:
                return None
            if self._state != "RUNNING" or self.flow() is not None:
                alone_since = 0.0
            elif not alone_since:
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > ORPHAN_SECONDS:  # its worker was killed too, so nobody else will say so
                self.said.append(
                    "a run without a process stayed Running, since its worker had been killed before it; ended by its operator"
                )
                self._deployment.give_up(self._run)
            time.sleep(ASK_SECONDS)
        if self._state != "COMPLETED":
            self.said.append(f"the flow run ended {self._state}")
        return self._state == "COMPLETED"


def last_line(home: Home, log: str) -> str:
    """What a process said last."""
    lines = (home.root / "logs" / log).read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""
