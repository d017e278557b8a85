"""Publications: an artifact, moved into place by one rename, then one record under the key that it was made for.

    artifacts/ab/DIGEST/…           what was made, by content
    by-key/KEY/VERSION.json         what was published under a key: ingredients, inputs, output; hashed, written last
    by-key/KEY/VERSION.stats.json   seconds, batch sizes, host: outside every digest; its creation claims the version
    by-key/KEY/VERSION.lost         why a record is in quarantine: its version is never given again
    forgotten/KIND-ID.json          what the home was told to forget: nothing published holds it again (lib.forgotten)
    by-base/BASE/KEY                empty: KEY has the base key BASE (lib.grown). It only saves work, so it may be lost
    quarantine/                     what did not match its digest, kept to be looked at
    tmp/PID-HOST-…                  what is being made; dropped once its process runs no more

A kill at any moment leaves either no record or a whole publication. Equal content made twice is stored once; a forced
rerun adds a version and never touches what an older one points at.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib import seeds, tables
from lib.artifacts import Artifacts, parsed
from lib.errors import Collected, DamagedArtifact, UserError
from lib.files import locked, sync_folder, write_atomically, write_json
from lib.forgotten import known
from lib.redaction import Redaction

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the store's layout; a store of a newer one is refused."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One publication under a key."""

    key: str
    version: int
    digest: str
    rows: dict[str, int]
    ingredients: dict[str, Any]
    record: str
    """sha256 of the record itself."""


class Store(Artifacts):
    """The artifacts below one folder and what was published under which key."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        _check_format(root)
        _drop_abandoned(root / "tmp")

    def lookup(self, key: str) -> Publication | None:
        """The newest publication under a key whose record and artifact are whole; damaged ones go to quarantine.

        One whose weights were collected is passed over, and stays where it is.
        """
        for version in reversed(self.versions(key)):
            try:
                found = self.read(key, version)
                self.verify(found.digest)
            except Collected:  # not damaged, and made again if it is wanted
                continue
            except DamagedArtifact as damage:
                log.warning("%s; moved to %s, to be made again when it is needed", damage, self.root / "quarantine")
                self._quarantine(key, version, str(damage))
                continue
            return found
        return None

    def versions(self, key: str) -> list[int]:
        """The version numbers published under a key, ascending."""
        return sorted(int(p.stem) for p in (self.root / "by-key" / key).glob("*.json") if p.stem.isdigit())

    def is_lost(self, key: str) -> bool:
        """Whether something was published under a key and later found damaged or missing."""
        return any((self.root / "by-key" / key).glob("*.lost"))

    def read(self, key: str, version: int) -> Publication:
        """One record. Raises DamagedArtifact if it is missing, garbled or altered."""
        record = parsed(self._record(key, version))
        if record is None:
            raise DamagedArtifact(f"record {key[:12]}/{version} is missing or garbled")
        sealed = record.pop("record", None)
        digest = _claimed_digest(record)
        if sealed != seeds.digest(record) or (record.get("key"), record.get("version")) != (key, version) or not digest:
            raise DamagedArtifact(f"record {key[:12]}/{version} was altered")
        return Publication(key, version, digest, record["output"]["rows"], record["ingredients"], sealed)

    def stats(self, key: str, version: int) -> dict[str, Any]:
        """What was measured while a publication was made; empty if that was lost."""
        return parsed(self._record(key, version).with_suffix(".stats.json"), strict=False) or {}

    def publish(
        self, folder: Path, key: str, ingredients: Mapping[str, Any], rows: Mapping[str, int], stats: Mapping[str, Any]
    ) -> Publication:
        """Move a workspace's files into the store and record them under a key; the last step makes it visible.

        What was to be forgotten is taken out first, for whoever draws the same problem or samples from the same seed makes it again.
        """
        gone = known(self.root)
        if gone and Redaction.of(gone).in_place(folder):
            rows = {**rows, **tables.rows_in(folder)}
        return self.record(self.adopt(folder), key, ingredients, rows, stats)

    def record(
        self,
        digest: str,
        key: str,
        ingredients: Mapping[str, Any],
        rows: Mapping[str, int],
        stats: Mapping[str, Any],
        more: Mapping[str, Any] | None = None,
    ) -> Publication:
        """Record an artifact that is in the store under a key, as a new version of it; `more` stands in the record beside the rest."""
        version = self._claim_version(key, json.dumps(stats, indent=2, ensure_ascii=False))
        record: dict[str, Any] = {
            "format": FORMAT,
            "key": key,
            "version": version,
            "ingredients": dict(ingredients),
            "output": {"digest": digest, "rows": dict(rows)},
            **(more or {}),
        }
        sealed = seeds.digest(record)
        path = self._record(key, version)
        write_atomically(path, seeds.canonical({**record, "record": sealed}) + "\n")
        sync_folder(path.parent)
        return Publication(key, version, digest, dict(rows), dict(ingredients), sealed)

    @contextmanager
    def key_lock(self, key: str, *, wait: bool) -> Iterator[bool]:
        """Hold a key while its stage runs, so that two runs that want it do the work once. Saves work only."""
        with locked(self.root / "locks" / f"{key}.lock", wait=wait) as held:
            yield held

    def published_keys(self) -> list[str]:
        """Every key that something was published under."""
        folder = self.root / "by-key"
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []

    def index(self, base: str, key: str) -> None:
        """Remember that something published under a key has this base key."""
        entry = self.root / "by-base" / base / key
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.touch()

    def indexed(self, base: str) -> list[str]:
        """The keys that have a base key; what was published under them may be gone since."""
        folder = self.root / "by-base" / base
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []

    def _record(self, key: str, version: int) -> Path:
        return self.root / "by-key" / key / f"{version}.json"

    def _claim_version(self, key: str, stats: str) -> int:
        """A version of a key that nobody else has or will get; a number that was lost or given up stays unused."""
        folder = self.root / "by-key" / key
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            used = {int(number) for p in folder.iterdir() if (number := p.name.partition(".")[0]).isdigit()}
            version = max(used, default=0) + 1
            try:
                with (folder / f"{version}.stats.json").open("x", encoding="utf-8") as file:
                    file.write(stats)
            except FileExistsError:  # another process was faster
                continue
            return version

    def _quarantine(self, key: str, version: int, why: str) -> None:
        path = self._record(key, version)
        digest = _claimed_digest(parsed(path) or {})
        write_json(path.with_suffix(".lost"), {"why": why})  # first, so that a kill never frees the number
        aside = self.set_aside(path)
        write_json(aside.with_suffix(".why.json"), {"why": why, "key": key, "version": version, "at": time.time()})
        if digest:
            self.set_damage_aside(digest)


def _claimed_digest(record: Mapping[str, Any]) -> str:
    """The digest that a record names, or nothing where it names none: it may have been altered to anything."""
    output = record.get("output")
    digest = output.get("digest") if isinstance(output, dict) else None
    return digest if isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) else ""


def _drop_abandoned(tmp: Path) -> None:
    """Remove the workspaces of this host's processes that run no more: a kill left them."""
    for folder in tmp.glob("*-*"):
        pid, _, rest = folder.name.partition("-")
        if pid.isdigit() and rest.rpartition("-")[0] in ("", platform.node()) and not _runs(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # somebody else's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _check_format(root: Path) -> None:
    marker = root / "format.json"
    if not marker.exists():
        write_json(marker, {"format": FORMAT})
        return
    found = (parsed(marker) or {}).get("format")
    if not isinstance(found, int) or found > FORMAT:
        raise UserError(f"the store in {root} has format {found}, and this roundhouse knows {FORMAT}; use a newer roundhouse")
