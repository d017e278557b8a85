"""Artifacts by content: write aside, hash, publish by one rename, then one record per publication.

    artifacts/ab/DIGEST/…           the files, and .files.json: their names and sha256; DIGEST is the sha256 of that text
    by-key/KEY/VERSION.json         what was published under a key: ingredients, inputs, output; hashed, written last
    by-key/KEY/VERSION.stats.json   seconds, batch sizes, host: outside every digest
    quarantine/                     what did not match its digest, kept to be looked at

A kill at any moment leaves either no record or a whole publication. Equal content made twice is stored once; a forced
rerun adds a version and never touches what an older one points at.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib import seeds
from lib.errors import DamagedArtifact, UserError
from lib.files import locked, sha256_of, sync_folder, write_atomically, write_json

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the store's layout; a store of a newer one is refused."""

_INDEX = ".files.json"


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


class Store:
    """The artifacts below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen_intact: dict[Path, tuple[int, int, int]] = {}
        _check_format(root)

    def folder(self, reference: str) -> Path:
        """The folder of an artifact, or of a folder inside it (`DIGEST/sub`)."""
        digest, _, inside = reference.partition("/")
        home = self.root / "artifacts" / digest[:2] / digest
        return home / inside if inside else home

    def files(self, digest: str) -> dict[str, str]:
        """File name → sha256 of an artifact. Raises DamagedArtifact if its index is missing or does not match its name."""
        index = self.folder(digest) / _INDEX
        try:
            text = index.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            raise DamagedArtifact(f"artifact {digest[:12]} is not in {self.root}") from None
        found = _parsed(text)
        if found is None or seeds.digest(found) != digest:
            raise DamagedArtifact(f"the index of artifact {digest[:12]} does not match its name")
        return {str(name): str(sha) for name, sha in found["files"].items()}

    def content(self, reference: str) -> str:
        """A digest of what a reference holds: the artifact's own, or of one folder's files."""
        digest, _, inside = reference.partition("/")
        if not inside:
            return digest
        part = {name: sha for name, sha in self.files(digest).items() if name.startswith(f"{inside}/")}
        if not part:
            raise DamagedArtifact(f"artifact {digest[:12]} has no folder '{inside}'")
        return seeds.digest({name.removeprefix(f"{inside}/"): sha for name, sha in part.items()})

    def folders(self, digest: str) -> list[str]:
        """References to the folders directly inside an artifact, in order."""
        names = {name.partition("/")[0] for name in self.files(digest) if "/" in name}
        return [f"{digest}/{name}" for name in sorted(names)]

    def verify(self, digest: str) -> None:
        """Raise DamagedArtifact naming the first file of an artifact that is missing, changed or surplus."""
        wanted = self.files(digest)
        folder = self.folder(digest)
        for name, sha in wanted.items():
            path = folder / name
            if not path.is_file():
                raise DamagedArtifact(f"artifact {digest[:12]}: {name} is missing")
            if not self._is_intact(path, sha):
                raise DamagedArtifact(f"artifact {digest[:12]}: {name} does not match its digest")
        surplus = sorted(n for n in _listing(folder) if n not in wanted and n != _INDEX)
        if surplus:
            raise DamagedArtifact(f"artifact {digest[:12]}: {surplus[0]} does not belong to it")

    def lookup(self, key: str) -> Publication | None:
        """The newest publication under a key whose record and artifact are whole; damaged ones go to quarantine."""
        for version in reversed(self.versions(key)):
            try:
                found = self.read(key, version)
                self.verify(found.digest)
            except DamagedArtifact as damage:
                log.warning("%s; moved to %s, to be made again", damage, self.root / "quarantine")
                self._quarantine(key, version, str(damage))
                continue
            return found
        return None

    def versions(self, key: str) -> list[int]:
        """The version numbers published under a key, ascending."""
        folder = self.root / "by-key" / key
        if not folder.is_dir():
            return []
        return sorted(int(p.stem) for p in folder.glob("*.json") if p.stem.isdigit())

    def is_lost(self, key: str) -> bool:
        """Whether something was published under a key and later found damaged or missing."""
        return any((self.root / "by-key" / key).glob("*.lost"))

    def read(self, key: str, version: int) -> Publication:
        """One record. Raises DamagedArtifact if it is missing, garbled or altered."""
        path = self._record(key, version)
        record = _parsed(path.read_text(encoding="utf-8")) if path.is_file() else None
        if record is None:
            raise DamagedArtifact(f"record {key[:12]}/{version} is missing or garbled")
        sealed = record.pop("record", None)
        if sealed != seeds.digest(record) or record.get("key") != key:
            raise DamagedArtifact(f"record {key[:12]}/{version} was altered")
        output = record["output"]
        return Publication(key, version, output["digest"], output["rows"], record["ingredients"], sealed)

    def stats(self, key: str, version: int) -> dict[str, Any]:
        """What was measured while a publication was made; empty if that was lost."""
        path = self._record(key, version).with_suffix(".stats.json")
        return (_parsed(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """An empty folder on the store's own disk, removed afterwards unless it was published."""
        folder = self.root / "tmp" / f"{os.getpid()}-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(
        self, folder: Path, key: str, ingredients: Mapping[str, Any], rows: Mapping[str, int], stats: Mapping[str, Any]
    ) -> Publication:
        """Move a workspace's files into the store and record them under a key; the last step makes it visible."""
        digest = self._adopt(folder)
        versions = self.versions(key)
        version = versions[-1] + 1 if versions else 1
        record: dict[str, Any] = {
            "format": FORMAT,
            "key": key,
            "version": version,
            "ingredients": dict(ingredients),
            "output": {"digest": digest, "rows": dict(rows)},
        }
        sealed = seeds.digest(record)
        path = self._record(key, version)
        write_json(path.with_suffix(".stats.json"), dict(stats))
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

    def _record(self, key: str, version: int) -> Path:
        return self.root / "by-key" / key / f"{version}.json"

    def _adopt(self, folder: Path) -> str:
        files = {name: sha256_of(folder / name) for name in _listing(folder) if name != _INDEX}
        if not files:
            raise DamagedArtifact("a stage finished without writing any file")
        index = {"files": files}
        digest = seeds.digest(index)
        target = self.folder(digest)
        try:
            self.verify(digest)
        except DamagedArtifact:
            if target.exists():
                self._set_aside(target)
        else:
            shutil.rmtree(folder)  # equal content is here already
            return digest
        (folder / _INDEX).write_text(seeds.canonical(index), encoding="utf-8")
        for name in [*files, _INDEX]:
            _flush(folder / name)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
        sync_folder(target.parent)
        return digest

    def _quarantine(self, key: str, version: int, why: str) -> None:
        path = self._record(key, version)
        record = _parsed(path.read_text(encoding="utf-8")) if path.is_file() else None
        aside = self._set_aside(path)
        write_json(path.with_suffix(".lost"), {"why": why})
        write_json(aside.with_suffix(".why.json"), {"why": why, "key": key, "version": version, "at": time.time()})
        if record and "output" in record:
            folder = self.folder(str(record["output"].get("digest")))
            if folder.exists():
                self._set_aside(folder)

    def _set_aside(self, path: Path) -> Path:
        aside = self.root / "quarantine" / f"{uuid.uuid4().hex[:8]}-{path.name}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.rename(aside)
        return aside

    def _is_intact(self, path: Path, sha: str) -> bool:
        found = path.stat()
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        if self._seen_intact.get(path) == stamp:
            return True
        if sha256_of(path) != sha:
            return False
        self._seen_intact[path] = stamp
        return True


def _listing(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _check_format(root: Path) -> None:
    marker = root / "format.json"
    if not marker.exists():
        write_json(marker, {"format": FORMAT})
        return
    found = (_parsed(marker.read_text(encoding="utf-8")) or {}).get("format")
    if not isinstance(found, int) or found > FORMAT:
        raise UserError(f"the store in {root} has format {found}, and this roundhouse knows {FORMAT}; use a newer roundhouse")
