"""A durable queue of JSON events in a folder: what is put is neither lost by a kill nor taken twice.

    pending/00000042-ID.json   an event that waits, numbered in the order of putting
    published/ID               a marker, kept for ever: an event put again after it was taken is not queued again

ID is the sha256 of the event's canonical JSON, so an event is what it says: a replay that says the same adds nothing.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib import seeds
from lib.errors import UserError
from lib.files import locked, read_json, sync_folder, write_atomically


@dataclass(frozen=True, slots=True)
class Queued:
    """One event that waits."""

    path: Path
    id: str
    at_ms: int
    """When it was first put, in milliseconds since 1970; outside the id."""
    event: dict[str, Any]


def event_id(event: Mapping[str, Any], ignoring: Collection[str] = ()) -> str:
    """sha256 of an event without the fields `ignoring`, such as the run that happened to put it."""
    return seeds.digest({name: value for name, value in event.items() if name not in ignoring})


def put(folder: Path, event: Mapping[str, Any], ignoring: Collection[str] = ()) -> str:
    """Queue an event unless it waits already or was published, and return its id; on the disk when this returns."""
    name = event_id(event, ignoring)
    with locked(folder / ".put.lock"):
        waiting = _waiting(folder)
        if (folder / "published" / name).exists() or any(path.stem.endswith(name) for path in waiting):
            return name
        number = 1 + max((int(path.name.partition("-")[0]) for path in waiting), default=0)
        body = {"id": name, "at_ms": time.time_ns() // 1_000_000, "event": dict(event)}
        path = folder / "pending" / f"{number:08d}-{name}.json"
        write_atomically(path, seeds.canonical(body))
        sync_folder(path.parent)
    return name


def pending(folder: Path) -> list[Queued]:
    """The events that wait, first put first. Raises UserError naming a file that is none."""
    found = []
    for path in _waiting(folder):
        body = read_json(path)
        if not isinstance(body, dict) or not {"id", "at_ms", "event"} <= body.keys():
            raise UserError(f"{path} is no event of the outbox; move it away")
        found.append(Queued(path, body["id"], body["at_ms"], body["event"]))
    return found


def mark_published(folder: Path, queued: Queued) -> None:
    """Note that an event was taken, then drop it; a kill between the two leaves the marker, which counts."""
    write_atomically(folder / "published" / queued.id, "")
    sync_folder(folder / "published")
    queued.path.unlink(missing_ok=True)


@contextmanager
def draining(folder: Path) -> Iterator[None]:
    """Be the only process that publishes from this folder; waits for the one that does."""
    with locked(folder / ".drain.lock"):
        yield


def _waiting(folder: Path) -> list[Path]:
    paths = sorted((folder / "pending").glob("[0-9]*.json"))
    return [path for path in paths if not (folder / "published" / path.stem.partition("-")[2]).exists()]
