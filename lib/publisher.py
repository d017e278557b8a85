"""What waits in the outbox, taken to MLflow in order and beside the work; lib.telling says what becomes of each event.

What MLflow refuses holds up only what stands on it: a campaign's beginning all of that campaign, a round the later rounds,
its own measurements and the end, a measurement nothing. An MLflow that does not answer holds up everything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib import events, outbox
from lib.errors import RoundhouseError, UserError
from lib.telling import tell
from lib.tracking import Experiment, TrackingDown, explained

_ONE_AT_A_TIME = threading.Lock()  # MLflow keeps one tracking address per process

_PLACE = ("round", "attempt", "revision")


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that still waits."""

    campaign: str
    what: str
    why: str
    """One line; empty if it waits for another that was not taken."""


@dataclass(frozen=True, slots=True)
class Published:
    """What one `publish` did."""

    taken: tuple[Mapping[str, Any], ...]
    """The events that it took to MLflow, in order."""
    waiting: tuple[Waiting, ...]

    @property
    def count(self) -> int:
        return len(self.taken)

    @property
    def failed(self) -> int:
        return len(self.waiting)

    @property
    def reason(self) -> str:
        """Why events wait, in one line; empty if none does."""
        return next((waiting.why for waiting in self.waiting if waiting.why), "")


def publish(folder: Path, tracking_uri: str, prefect_pages: str = "") -> Published:
    """Take what waits in an outbox to MLflow, in order. An MLflow that fails is reported, never raised.

    `prefect_pages` is where a person opens Prefect's pages, for links to flow runs. An empty outbox costs no import of MLflow.
    """
    with _ONE_AT_A_TIME, outbox.draining(folder):
        try:
            queue = outbox.pending(folder)
        except UserError as error:  # a file that is damaged; what stands before and after it keeps its order
            return Published((), (Waiting("", "an event that cannot be read", str(error)),))
        taken: list[Mapping[str, Any]] = []
        waiting: list[outbox.Queued] = []
        why: dict[str, str] = {}
        down = False
        for queued in queue:
            if down or any(_stands_on(queued.event, other.event) for other in waiting):
                waiting.append(queued)
                continue
            try:
                _tell(queued, tracking_uri, prefect_pages, folder.parent)
            except RoundhouseError as error:
                waiting.append(queued)
                why[queued.id], down = str(error), isinstance(error, TrackingDown)
                continue
            outbox.mark_published(folder, queued)
            taken.append(queued.event)
        return Published(tuple(taken), tuple(_waiting(queued.event, why.get(queued.id, "")) for queued in waiting))


def _tell(queued: outbox.Queued, tracking_uri: str, prefect_pages: str, home: Path) -> None:
    event = events.from_json(queued.event)
    with explained(tracking_uri, first=True):
        experiment = Experiment(tracking_uri, event.campaign, queued.at_ms)
    with explained(tracking_uri):
        tell(experiment, event, queued.id, prefect_pages, home)


def _stands_on(event: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether an event can be told only after one that was put before it."""
    if event["campaign"] != other["campaign"] or other.get("kind") in ("evaluate", "final"):
        return False
    if event.get("kind") == "evaluate" and other.get("kind") == "round":
        return all(event.get(name) == other.get(name) for name in _PLACE)
    return True


def _waiting(event: Mapping[str, Any], why: str) -> Waiting:
    return Waiting(str(event["campaign"]), events.title(event), why)


class Publisher:
    """A thread that publishes while rounds run. `kick` it after putting events; `close` it at the end.

    The thread begins with the first kick, and MLflow is imported in it: kick after the caller's own heavy imports, for
    two threads that import the same packages at once can see them half made.
    """

    def __init__(self, folder: Path, tracking_uri: str, warn: Callable[[str], None], prefect_pages: str = "") -> None:
        self._folder = folder
        self._tracking_uri = tracking_uri
        self._prefect_pages = prefect_pages
        self._warn = warn
        """Told once, in one line, that MLflow does not take events."""
        self._wake = threading.Event()
        self._closing = False
        self._has_warned = False
        self._thread = threading.Thread(target=self._run, name="roundhouse-publisher", daemon=True)

    def kick(self) -> None:
        """Say that there may be something to publish; returns at once."""
        self._wake.set()
        if self._thread.ident is None:
            self._thread.start()

    def close(self, timeout_seconds: float) -> bool:
        """Publish what waits and stop; False if that took longer than allowed, and then the rest stays in the outbox."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_seconds)
        if not self._thread.is_alive():
            return True
        if not self._has_warned:
            self._has_warned = True
            late = f"MLflow at {self._tracking_uri} took longer than {timeout_seconds:g} s"
            self._warn(f"{late}; what is left waits in the outbox for `roundhouse publish`")
        return False

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing
            published = publish(self._folder, self._tracking_uri, self._prefect_pages)
            if published.failed and not self._has_warned:
                self._has_warned = True
                self._warn(f"{published.reason}; {published.failed} events wait in the outbox for `roundhouse publish`")
            if closing:
                return
