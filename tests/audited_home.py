"""A small home that an audit passes, and ways of changing it as somebody might who knows where things are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lib.audit.report import Report
from lib.audit.whole import audit
from lib.home import Home
from lib.store import Publication, Store
from tests.small_home import SmallHome, build


def small_home(root: Path) -> SmallHome:
    """The campaign `demo`, without closing figures, which it never measured."""
    small = build(Home(root))
    (small.home.campaigns / "demo" / "test.json").unlink()
    return small


def audited(home: Home, name: str = "demo", *, offline: bool = True) -> Report:
    return audit(home, name, offline=offline)


def named(report: Report) -> list[tuple[str, str]]:
    """(check, the whole line) of every mismatch."""
    return [(mismatch.check, mismatch.line) for mismatch in report.mismatches]


def record_of(home: Home, number: int, name: str = "demo") -> Path:
    return home.campaigns / name / f"round-{number:03d}" / "round.json"


def edited(path: Path, change: Callable[[Any], object]) -> None:
    """A JSON file with something in it changed."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def job_of(home: Home, number: int, stage: str, name: str = "demo", place: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record_of(home, number, name).read_text())["stages"][stage]["jobs"][place]
    return found


def folder_of(home: Home, number: int, stage: str, name: str = "demo", place: int = 0) -> Path:
    return Store(home.store).folder(job_of(home, number, stage, name, place)["digest"])


def flip(path: Path, place: int = 100) -> None:
    """One byte of a file, another."""
    content = bytearray(path.read_bytes())
    content[min(place, len(content) - 1)] ^= 1
    path.write_bytes(bytes(content))


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def put(home: Home, number: int, stage: str, made: Publication) -> None:
    """Another publication in a stage's place, as its round's record tells."""

    def change(record: Any) -> None:
        record["stages"][stage]["jobs"] = [
            {"label": stage, "key": made.key, "version": made.version, "digest": made.digest, "reused": False}
        ]
        for references in record["stages"][stage]["made"].values():
            references[:] = [made.digest]

    edited(record_of(home, number), change)


def delete(folder: Path) -> None:
    shutil.rmtree(folder)
