"""Several recipes from one base model, side by side: a process for each, over one Prefect server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from lib import home as homes
from lib.campaign import CampaignFolder
from lib.errors import RoundhouseError


def compare(campaigns: dict[str, str], options: list[str], jobs: int) -> None:
    """Run the campaigns (name → recipe), at most `jobs` at once; what they share is made once, whoever comes first."""
    run_campaigns.with_options(task_runner=ThreadPoolTaskRunner(max_workers=jobs))(campaigns, options)


@flow(name="compare")
def run_campaigns(campaigns: dict[str, str], options: list[str]) -> None:
    """One task a campaign; the first failure is raised when all have ended."""
    running: list[PrefectFuture[Any]] = [run_campaign.submit(name, recipe, quote(options)) for name, recipe in campaigns.items()]
    for future in running:
        future.result()


@task(task_run_name="{name}")
def run_campaign(name: str, recipe: str, options: list[str]) -> None:
    """One campaign in a process of its own. Raises RoundhouseError with the last line that it said."""
    command = [sys.executable, "-m", "flows.cli", "improve", name, "--wait", "--json", *options]
    if not CampaignFolder(homes.current(), name).exists:
        command += ["--recipe", recipe]
    else:
        command = _without_fixed(command)
    here = Path(__file__).resolve().parent.parent
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=_environment(here), check=False)
    if ended.returncode:
        said = [line for line in ended.stderr.splitlines() if line.strip()]
        raise RoundhouseError(f"campaign '{name}' ended with status {ended.returncode}: {said[-1] if said else 'without a word'}")


def _without_fixed(command: list[str]) -> list[str]:
    """A campaign that exists takes no settings again; only how far to go."""
    kept = command[: command.index("--json") + 1]
    return [*kept, "--rounds", command[command.index("--rounds") + 1]]


def _environment(here: Path) -> dict[str, str]:
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{path}" if path else str(here)}
