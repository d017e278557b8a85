"""One campaign under fire: started, struck, started again, until it is complete and its story is told."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench import faults_kill as kills
from bench import faults_story as stories
from bench.faults_kill import PLACES, Fell, Watch
from bench.faults_place import CAMPAIGN, Deployment, Server, end_all, environment, gone, mlflow, mlflow_file, named, stage_children, started
from bench.faults_runners import Command, Runner, Worker, last_line, words
from lib.home import Home

LONGEST_SECONDS = 600.0
"""A start that has neither ended nor been struck by then hangs."""

POLL_SECONDS = 0.05
GONE_SECONDS = 60.0
"""How long the processes of a finished campaign may take to end: the keeper of its private Prefect server above all."""

KINDS: dict[str, tuple[str, ...]] = {
    "command": ("publish", "flow", "child", "log", "flow"),
    "worker": ("run", "worker", "child"),
    "server": ("server", "flow"),
    "mlflow": ("mlflow", "flow"),
}
"""How a campaign runs → whom its blows fall on: by the command, by a worker, with a Prefect server of its own, with an MLflow server.

`publish` is the flow inside a publication, `log` the flow while events wait for MLflow, `run` the flow under the worker.
"""

ENDING = ("flow", "publish", "log", "run", "server")
"""Blows that end a start, sooner or later."""


@dataclass(slots=True)
class Ground:
    """What all campaigns share."""

    folder: Path
    model: Path
    server: Server
    seed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Key → seconds of its job, undisturbed, in the order of the jobs."""
    opening: float = 0.0
    """Seconds of an undisturbed start beside its jobs."""
    deployed: Deployment | None = None

    @property
    def variables(self) -> dict[str, str]:
        return {"PREFECT_API_URL": f"{self.server.url}/api"}

    def deployment(self) -> Deployment:
        if self.deployed is None:
            self.deployed = Deployment(self.server, Home(self.folder / "server"))
        return self.deployed


@dataclass(slots=True)
class Siege:
    """A campaign in a home of its own, and what was done to it; one that was left goes on."""

    number: int
    kind: str
    blows: int
    struck: list[dict[str, Any]] = field(default_factory=list)
    missed: int = 0
    """Blows that found the campaign complete."""
    starts: int = 0
    seconds: float = 0.0
    """Wall time that it ran in all."""
    said: list[str] = field(default_factory=list)
    """Last words of starts that failed and were not killed themselves."""
    problems: list[str] = field(default_factory=list)
    asides: int = 0
    is_over: bool = False

    def home(self, ground: Ground) -> Home:
        return Home(ground.folder / f"home-{self.number:03d}")


Keep = Callable[[], bool]
"""Called after each blow; says whether there is time for more."""


def besiege(siege: Siege, ground: Ground, keep: Keep) -> stories.Story | None:
    """Run a campaign under its blows to its end, and return its story; None where `keep` said to leave it, or it has none."""
    home = siege.home(ground)
    end_all(home)
    try:
        with _servers(siege, ground) as (variables, strikable):
            if siege.kind == "worker" and not _is_begun(home):
                _begin(siege, ground, variables)
            if siege.problems:
                return None
            worker = Worker(home, ground.deployment(), variables) if siege.kind == "worker" else None
            runner: Runner = worker or Command(home, ground.model, variables)
            _under_fire(siege, ground, runner, strikable, keep)
            siege.said += runner.said
            if worker is None:
                siege.problems += [
                    f"a start ended in no line of its own: {line}" for line in runner.said if not line.startswith("roundhouse: ")
                ]
            if worker:
                worker.stop()
            story = _told(siege, home, variables) if siege.is_over and not siege.problems else None
        if siege.is_over:
            siege.problems += [f"still running: {line}" for line in gone(home, GONE_SECONDS)]
            siege.problems += stories.disorder(home)
            siege.asides = len(stories.asides(home))
        return story
    finally:
        end_all(home)


@contextlib.contextmanager
def _servers(siege: Siege, ground: Ground) -> Iterator[tuple[dict[str, str], Server | None]]:
    """The variables of a kind's processes, and the MLflow server to strike where there is one."""
    home = siege.home(ground)
    if siege.kind == "server":
        home.prefect.mkdir(parents=True, exist_ok=True)
        if not (home.prefect / "prefect.db").exists():  # as in a home that was used before: its migrations are done
            shutil.copyfile(ground.folder / "prefect.db", home.prefect / "prefect.db")
        yield {}, None
    elif siege.kind == "mlflow":
        with mlflow(home).running() as server:
            yield {**ground.variables, "MLFLOW_TRACKING_URI": server.url}, server
    else:
        yield ground.variables, None


def _is_begun(home: Home) -> bool:
    with contextlib.suppress(OSError):
        return bool(json.loads((home.campaigns / CAMPAIGN / "round-000" / "round.json").read_text())["state"] == "accepted")
    return False


def _begin(siege: Siege, ground: Ground, variables: dict[str, str]) -> None:
    """A worker goes on with what was begun by a command, which measures the base model."""
    if started(siege.home(ground), "begin.log", *words(ground.model, rounds=0), **variables).wait():
        siege.problems.append(f"the campaign cannot be begun: {last_line(siege.home(ground), 'begin.log')}")


def _under_fire(siege: Siege, ground: Ground, runner: Runner, strikable: Server | None, keep: Keep) -> None:
    with Watch(siege.home(ground)) as watch:
        while not siege.is_over and not siege.problems:
            siege.starts += 1
            begun, before = time.monotonic(), len(siege.struck)
            watch.again()
            runner.start()
            going_on = _struck(siege, ground, watch, runner, strikable, keep)
            done = runner.ended(LONGEST_SECONDS) if going_on else None
            siege.seconds += time.monotonic() - begun
            if not going_on:
                return
            siege.is_over = bool(done)
            if done is None:
                siege.problems.append(f"start {siege.starts} hangs: no end in {LONGEST_SECONDS:g} s")
            if not done and len(siege.struck) == before:
                siege.problems.append(f"start {siege.starts} failed though nothing was killed: {runner.said[-1:]}")


def _struck(siege: Siege, ground: Ground, watch: Watch, runner: Runner, strikable: Server | None, keep: Keep) -> bool:
    """Deal one start its blows, until one ends it or none is left; False where there is no time for more."""
    while len(siege.struck) + siege.missed < siege.blows:
        fell = _strike(siege, ground, watch, runner, strikable)
        if fell is None:
            siege.missed += 1
            return True
        siege.struck.append(fell)
        if not keep():
            return False
        if fell["target"] in ENDING:
            return True
    return True


def _strike(siege: Siege, ground: Ground, watch: Watch, runner: Runner, strikable: Server | None) -> dict[str, Any] | None:
    """Deal the next blow at its moment; None where this start ended before."""
    number = len(siege.struck) + siege.missed
    dice = random.Random(f"{ground.seed}/{siege.number}/{number}")
    targets = KINDS[siege.kind]
    target = targets[number] if number < len(targets) else dice.choice(targets)
    from_start, share, place, delay = dice.random() < 0.2, dice.random(), dice.choice(PLACES), dice.random()
    if from_start:  # imports and the opening of things are struck too
        found, rest = True, share * ground.opening
    else:
        before, rest = _moment(ground, watch.published(), share, siege.blows - number)
        found = _wait(runner, lambda: watch.works() and before <= watch.published())
    if found and target == "log":
        found, rest = _wait(runner, lambda: any(watch.home.outbox.glob("pending/*.json"))), delay
    moment = time.monotonic() + rest
    if not found or not _wait(runner, lambda: time.monotonic() > moment):
        return None
    fell: Fell | None = None
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now
        fell = _dealt(target, watch, runner, strikable, place, dice)
    if fell is None:
        return None
    return {"target": target, "stage": fell.stage, "place": fell.place, "lost": round(fell.lost_seconds, 3)}


def _moment(ground: Ground, published: set[str], share: float, blows: int) -> tuple[set[str], float]:
    """When a blow falls: the jobs that are published by then, and the seconds after that.

    Uniform over the work that is left until the next blow, if all of them are to lie evenly. It is measured in undisturbed
    seconds but awaited by the job, so that a slow machine does not gather the blows at the beginning.
    """
    left = {key: seconds for key, seconds in ground.seconds.items() if key not in published}
    rest, before = share * 2 * sum(left.values()) / (blows + 1), set()
    for key, seconds in left.items():
        if rest < seconds:
            break
        before.add(key)
        rest -= seconds
    return before, rest


def _dealt(target: str, watch: Watch, runner: Runner, strikable: Server | None, place: str, dice: random.Random) -> Fell | None:
    """A blow on its target, now; None where it is not there."""
    if target == "child":
        _wait(runner, lambda: watch.workspaces() and stage_children(watch.home))
        return kills.kill_child(watch, dice)
    if target == "worker" and isinstance(runner, Worker) and (worker := runner.worker()) is not None:
        fell = kills.kill(worker, watch, aside=True)
        runner.stop()
        runner.start_worker()
        return fell
    if target == "mlflow" and strikable is not None:
        strikable.kill()
        fell, moment = Fell(watch.stage()), time.monotonic() + 3 * dice.random()
        _wait(runner, lambda: time.monotonic() > moment)
        strikable.start()
        return fell
    if target == "server":
        return _kill_server(watch)
    _wait(runner, lambda: runner.flow() is not None)
    if (flow := runner.flow()) is None:
        return None
    return kills.kill_in_publish(flow, watch, place) if target == "publish" else kills.kill(flow, watch)


def _kill_server(watch: Watch) -> Fell | None:
    """Kill the private Prefect server and what it started; its keeper is left to see that."""
    servers = named(watch.home, "prefect", "server", "start")
    for process in servers:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return Fell(watch.stage()) if servers else None


def _wait(runner: Runner, until: Callable[[], Any]) -> bool:
    """Until something is so; False where this start ended before, or it never is."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not until():
        if not runner.alive() or time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _told(siege: Siege, home: Home, variables: dict[str, str]) -> stories.Story:
    """The story of a finished campaign, once what waits was taken to MLflow."""
    command = [sys.executable, "-m", "flows.cli", "publish"]
    ended = subprocess.run(command, env=environment(home, **variables), capture_output=True, text=True, timeout=LONGEST_SECONDS)
    if ended.returncode:
        siege.problems.append(f"`roundhouse publish` failed: {ended.stderr.strip()[-300:]}")
    return stories.told(home, variables.get("MLFLOW_TRACKING_URI", mlflow_file(home)))
