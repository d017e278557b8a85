"""What was exported from a home, and where to: exports.json, so that what is forgotten later can be found there."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from lib.files import locked, read_json, write_json
from lib.home import Home


def note(home: Home, what: str, place: Path, digests: Collection[str]) -> None:
    """Remember an export: what it is, where it lies, the artifacts that are in it."""
    with locked(home.locks / "exports.lock"):
        rows = [row for row in known(home) if row["place"] != str(place)]
        write_json(_list(home), [*rows, {"what": what, "place": str(place), "digests": sorted(digests)}])


def known(home: Home) -> list[dict[str, Any]]:
    """Every export on record that is still where it was put."""
    rows = read_json(_list(home)) if _list(home).is_file() else []
    return [row for row in rows if Path(row["place"]).exists()]


def holding(home: Home, digests: Collection[str]) -> list[dict[str, Any]]:
    """The exports that hold one of these artifacts."""
    return [row for row in known(home) if not {*row["digests"]}.isdisjoint(digests)]


def drop_inside(home: Home, digests: Collection[str]) -> None:
    """Remove those that hold one of these artifacts and lie inside the home; others are no longer ours to remove."""
    for row in holding(home, digests):
        place = Path(row["place"])
        if place.is_relative_to(home.root):
            shutil.rmtree(place) if place.is_dir() else place.unlink()


def _list(home: Home) -> Path:
    return home.root / "exports.json"
