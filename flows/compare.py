"""Several campaigns side by side: a process for each, over one Prefect server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

from flows import terminal
from lib.errors import RoundhouseError

GRACE_SECONDS = 30.0
"""How long a campaign that was told to stop may take; killed, it would continue as well."""


def compare(name: str, campaigns: Mapping[str, list[str]], jobs: int) -> dict[str, str]:
    """Run `improve NAME WORDS` for each campaign, at most `jobs` at once; what they share is made once, whoever comes first.

    Returns those that failed with the reason; each is told at once, and costs the others nothing. An interrupt ends them all.
    """
    children = Children()
    failed: dict[str, str] = {}

    @task(task_run_name="{campaign}", cache_policy=NO_CACHE)
    def run_campaign(campaign: str) -> None:
        status, said = children.run(["improve", campaign, "--wait", "--json", *campaigns[campaign]])
        if status:
            failed[campaign] = said
            terminal.errors.print(f"roundhouse: campaign '{campaign}' failed, and the others go on: {said}", markup=False, soft_wrap=True)
            raise RoundhouseError(f"campaign '{campaign}' ended with status {status}: {said}")

    @flow(name="compare", flow_run_name=name, task_runner=ThreadPoolTaskRunner(max_workers=jobs))
    def run_campaigns(names: list[str]) -> dict[str, str]:
        running = [run_campaign.submit(name) for name in names]
        try:
            wait(running)
        finally:
            children.end()  # an interrupt comes here, before Prefect waits for the threads that wait for the children
        return failed

    return run_campaigns(list(campaigns))


class Children:
    """The processes of one comparison, which end with it, even where it is killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[str]] = []
        self._is_over = False

    def run(self, words: list[str]) -> tuple[int, str]:
        """Run the command `roundhouse WORDS` to its end; its status and the last line that it said."""
        here = Path(__file__).resolve().parent.parent
        with self._lock:
            if self._is_over:
                raise RoundhouseError("the comparison was stopped")
            child = subprocess.Popen(
                [sys.executable, "-m", "flows.following", str(os.getpid()), *words],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env=_environment(here),
                process_group=0,  # Ctrl-C in a terminal reaches this process alone, which then tells each child once
            )
            self._running.append(child)
        _, stderr = child.communicate()
        if self._is_over:
            raise RoundhouseError("the comparison was stopped")
        said = [line for line in stderr.splitlines() if line.strip()]
        return child.returncode, said[-1].removeprefix("roundhouse: ") if said else "without a word"

    def end(self) -> None:
        """Tell those that still run to stop, start no others, and return when all have ended."""
        with self._lock:
            self._is_over = True
            running = [child for child in self._running if child.poll() is None]
        for child in running:
            child.terminate()
        for child in running:
            try:
                child.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


def _environment(here: Path) -> dict[str, str]:
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{path}" if path else str(here)}
