"""When a blow falls and on whom: a moment drawn beforehand, or one that is waited for with the process held still.

A publication takes milliseconds, so a kill inside one is hunted for: the flow is stopped (SIGSTOP) when its workspace gets
its index, then let go for a fraction of a millisecond at a time until it stands where the draw wants it, and killed there.
Where it stands is read from the store of the stopped process, so a kill that is counted as inside really was.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from bench.faults_place import CAMPAIGN, stage_children
from lib.home import Home

PLACES = ("files hashed", "artifact renamed", "version claimed", "record written aside")
"""Moments of a publication, in order: before its first rename, and three between that and the rename of its record."""

HUNTS = 25
"""Publications that are watched for one blow before it falls on whatever runs."""

STEP_SECONDS = 0.0002
FREQUENT_SECONDS = 0.0001
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Fell:
    """Where a blow fell."""

    stage: str
    """Round and stage as progress.json has them; `start` before the first job."""
    place: str = ""
    """Of a publication, for a blow that was aimed at one."""
    lost_seconds: float = 0.0
    """Of job work that was in hand and will be done again."""


class Watch:
    """What can be seen of a campaign while it runs; a thread notes when each workspace appeared."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.begun = time.time()
        self._seen: dict[str, float] = {}
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._looking.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._looking.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for name in self.workspaces():
                self._seen.setdefault(name, time.time())

    def again(self) -> None:
        """The campaign is started again now."""
        self.begun = time.time()

    def published(self) -> set[str]:
        """Keys with a record."""
        return {path.parent.name for path in self.home.store.glob("by-key/*/*.json") if path.stem.isdigit()}

    def workspaces(self) -> list[str]:
        """Names of the folders that jobs work in."""
        with contextlib.suppress(FileNotFoundError):
            return [path.name for path in (self.home.store / "tmp").iterdir()]
        return []

    def works(self) -> bool:
        """Whether this start of the campaign has come to its first job or reuse."""
        with contextlib.suppress(OSError):
            return (self.home.campaigns / CAMPAIGN / "progress.json").stat().st_mtime > self.begun
        return bool(self.workspaces())

    def stage(self) -> str:
        """Where it is, as far as it tells."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            now = json.loads((self.home.campaigns / CAMPAIGN / "progress.json").read_text())
            if self.works():
                return f"r{now['round']} {now['stage']}"
        return "start"

    def spent(self, workspaces: Iterable[str]) -> float:
        """Seconds that children have worked in these workspaces; waiting for imports is not work."""
        now = time.time()
        with contextlib.suppress(psutil.NoSuchProcess):
            if born := [process.create_time() for process in stage_children(self.home)]:
                return sum(now - max(self._seen.get(name, now), min(born)) for name in workspaces)
        return 0.0


def kill(process: psutil.Process, watch: Watch, *, aside: bool = False) -> Fell:
    """Stop a process, see where the campaign stands, and kill it; with `aside` the campaign itself goes on."""
    process.send_signal(signal.SIGSTOP)
    fell = Fell(watch.stage(), "", 0.0 if aside else watch.spent(watch.workspaces()))
    process.send_signal(signal.SIGKILL)
    return fell


def kill_child(watch: Watch, dice: random.Random) -> Fell | None:
    """Kill one of the children that work at stages now; None where there is none."""
    children = stage_children(watch.home)
    with contextlib.suppress(psutil.NoSuchProcess):
        if children:
            return kill(dice.choice(children), watch)
    return None


def kill_in_publish(process: psutil.Process, watch: Watch, wanted: str) -> Fell | None:
    """Kill a flow inside a publication, at the wanted place or the first later one; None where it ended first."""
    for _ in range(HUNTS):
        workspace = _index_written(process, watch)
        if workspace is None:
            return None
        work = watch.spent([workspace.folder.name])
        place = _stepped(process, watch, wanted, workspace)
        if place is None:  # it went through between two looks: let it go on to the next
            process.send_signal(signal.SIGCONT)
            continue
        fell = Fell(watch.stage(), place, work)
        process.send_signal(signal.SIGKILL)
        return fell
    return kill(process, watch)


@dataclass(frozen=True, slots=True)
class _Caught:
    folder: Path
    recorded: frozenset[str]
    """Records and claims from before this publication."""


def _index_written(process: psutil.Process, watch: Watch) -> _Caught | None:
    """Stop the process as soon as a workspace has its index, which is made just before the first rename."""
    tmp = watch.home.store / "tmp"
    known: list[str] = []
    recorded: frozenset[str] = frozenset()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        deadline = time.monotonic() + LOOK_SECONDS
        while time.monotonic() < deadline:
            if (names := watch.workspaces()) and names != known:
                recorded = frozenset(_by_key(watch.home))  # a job begins: what was published before is on record
            known = names
            for name in names:
                if (tmp / name / ".files.json").exists():
                    process.send_signal(signal.SIGSTOP)
                    return _Caught(tmp / name, recorded)
            time.sleep(FREQUENT_SECONDS)
    return None


def _stepped(process: psutil.Process, watch: Watch, wanted: str, caught: _Caught) -> str | None:
    """Let a stopped process go on in small steps until it stands at the wanted place; None where it is through."""
    while (place := _place(watch.home, caught)) is not None:
        if PLACES.index(place) >= PLACES.index(wanted):
            return place
        process.send_signal(signal.SIGCONT)
        time.sleep(STEP_SECONDS)
        process.send_signal(signal.SIGSTOP)
    return None


def _place(home: Home, caught: _Caught) -> str | None:
    if caught.folder.exists() and (caught.folder / ".files.json").exists():
        return PLACES[0]
    new = _by_key(home) - caught.recorded
    if not new:
        return PLACES[1]
    if any(name.endswith(".json") and not name.endswith(".stats.json") and "/." not in name for name in new):
        return None
    return PLACES[3] if any("/." in name for name in new) else PLACES[2]


def _by_key(home: Home) -> set[str]:
    """KEY/FILE of every record, claim and file that is being written beside one."""
    return {f"{path.parent.name}/{path.name}" for pattern in ("*/*", "*/.*") for path in (home.store / "by-key").glob(pattern)}
