"""Folders of files named by their content: written aside, hashed, moved into place by one rename, verified when read.

artifacts/ab/DIGEST/…           the files, and .files.json: their names and sha256; DIGEST is the sha256 of that text;
                                .collected.json where files were collected that were needed no more (lib.tombstone);
                                .forgotten.json instead of the files where they held what was to be forgotten: it names the
                                artifact that took their place, which is meant wherever DIGEST is (lib.forgotten)
quarantine/                     what did not match its digest, kept to be looked at
"""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from lib import forgotten, seeds, tombstone
from lib.errors import Collected, DamagedArtifact
from lib.files import locked, sha256_of, sync_folder
from lib.forgotten import Stone
from lib.tombstone import Gone, Maker, Tombstone

_INDEX = ".files.json"


class Artifacts:
    """The artifacts below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen_intact: dict[Path, tuple[int, int, int]] = {}

    def folder(self, reference: str) -> Path:
        """The folder of an artifact, or of a folder inside it (`DIGEST/sub`)."""
        digest, _, inside = reference.partition("/")
        home = self.place(self.now(digest))
        return home / inside if inside else home

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """An empty folder on the store's own disk, removed afterwards unless it was published."""
        folder = self.root / "tmp" / f"{os.getpid()}-{platform.node()}-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def place(self, digest: str) -> Path:
        """Where an artifact of this very digest is or was."""
        return self.root / "artifacts" / digest[:2] / digest

    def now(self, digest: str) -> str:
        """The artifact that took an artifact's place when something in it was forgotten; itself where nothing was."""
        while (stone := forgotten.stone(self.place(digest))) is not None:
            digest = stone.now
        return digest

    def files(self, digest: str) -> dict[str, str]:
        """File name → sha256 of an artifact. Raises DamagedArtifact if its index is missing or does not match its name."""
        digest = self.now(digest)
        index = self.place(digest) / _INDEX
        if not index.is_file():
            raise DamagedArtifact(f"artifact {digest[:12]} is not in {self.root}")
        found = parsed(index)
        if found is None or seeds.digest(found) != digest:
            raise DamagedArtifact(f"the index of artifact {digest[:12]} does not match its name")
        return {str(name): str(sha) for name, sha in found["files"].items()}

    def content(self, reference: str) -> str:
        """A digest of what a reference holds: the artifact's own, or of one folder's files."""
        digest, _, inside = reference.partition("/")
        if not inside:
            return self.now(digest)
        part = {name: sha for name, sha in self.files(digest).items() if name.startswith(f"{inside}/")}
        if not part:
            raise DamagedArtifact(f"artifact {digest[:12]} has no folder '{inside}'")
        return seeds.digest({name.removeprefix(f"{inside}/"): sha for name, sha in part.items()})

    def folders(self, digest: str) -> list[str]:
        """References to the folders directly inside an artifact, in order."""
        names = {name.partition("/")[0] for name in self.files(digest) if "/" in name}
        return [f"{digest}/{name}" for name in sorted(names)]

    def verify(self, digest: str) -> None:
        """Raise DamagedArtifact naming the first file of an artifact that is missing, changed or surplus.

        Collected, where nothing is wrong but that its weights were collected.
        """
        wanted = self.files(digest)
        gone = self.gone(digest)
        try:
            fault = self._fault(self.folder(digest), wanted, gone)
        except FileNotFoundError:  # another process set it aside just now
            fault = "it was moved while it was read"
        if fault:
            raise DamagedArtifact(f"artifact {digest[:12]}: {fault}")
        if gone and (stone := tombstone.read(self.folder(digest))) is not None:
            raise Collected(stone.sentence(digest))

    def gone(self, digest: str) -> dict[str, str]:
        """File name → sha256 of what was collected of an artifact and not made again."""
        stone = tombstone.read(self.folder(digest))
        return stone.missing(self.folder(digest)) if stone is not None else {}

    def collect(self, digest: str, names: Iterable[str], maker: Maker | None) -> None:
        """Remove files of an artifact for good, and leave a tombstone, which is written first."""
        folder, shas = self.folder(digest), self.files(digest)
        stone = tombstone.read(folder)
        going = {name: Gone(shas[name], (folder / name).stat().st_size) for name in names}
        files = {**(stone.files if stone is not None else {}), **going}
        with self.workspace() as workspace:
            tombstone.write(folder, Tombstone(datetime.now(UTC).isoformat(timespec="seconds"), files, maker), workspace)
        sync_folder(folder)
        for name in going:
            (folder / name).unlink(missing_ok=True)

    def replace(self, digest: str, stone: Stone) -> None:
        """Let another artifact take one's place, and remove its files for good; what was cut off in the middle is finished."""
        folder = self.place(digest)
        if forgotten.stone(folder) is None:
            with self.workspace() as workspace:
                forgotten.put_stone(folder, stone, workspace)
            sync_folder(folder)
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir():
                path.rmdir()
            elif path.name not in (_INDEX, forgotten.NAME):
                path.unlink()

    def adopt(self, folder: Path, collected: Tombstone | None = None) -> str:
        """Move a folder's files into place, unless equal content is there already, and return their digest.

        What a tombstone says was `collected` of it is part of the content, and stays collected.
        """
        files = {name: sha256_of(folder / name) for name in _listing(folder) if name != _INDEX}
        if not files:
            raise DamagedArtifact("a stage finished without writing any file")
        index = {"files": {**files, **(collected.missing(folder) if collected else {})}}
        if collected:
            tombstone.write(folder, collected, folder)
        digest = seeds.digest(index)
        target = self.folder(digest)
        while (fault := self._trouble(digest)) is not None:
            if isinstance(fault, Collected):
                if collected is None:
                    self._put_back(folder, digest)
                break
            (folder / _INDEX).write_text(seeds.canonical(index), encoding="utf-8")
            for name in [*files, _INDEX]:
                _flush(folder / name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if _moved(folder, target):
                sync_folder(target.parent)
                return digest
            self.set_damage_aside(digest)
        shutil.rmtree(folder)  # equal content is here already
        return digest

    def set_damage_aside(self, digest: str) -> None:
        """Move what stands in an artifact's place to quarantine unless it is whole.

        One process at a time, and an empty folder is removed instead: what is neither empty nor whole here can then
        become whole by nobody, so that nothing is moved that another process has just published.
        """
        folder = self.folder(digest)
        with locked(self.root / "locks" / "quarantine.lock"):
            with suppress(OSError):
                folder.rmdir()
            if folder.exists() and not isinstance(self._trouble(digest), Collected | None):
                self.set_aside(folder)

    def set_aside(self, path: Path) -> Path:
        """Move a file or folder to quarantine and return where it lies there."""
        aside = self.root / "quarantine" / f"{uuid.uuid4().hex[:8]}-{path.name}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process found the same damage
            path.rename(aside)
        return aside

    def _trouble(self, digest: str) -> DamagedArtifact | None:
        """What is wrong with an artifact; None for one that is whole."""
        try:
            self.verify(digest)
        except DamagedArtifact as fault:
            return fault
        return None

    def _put_back(self, folder: Path, digest: str) -> None:
        """Give a collected artifact its files back from a folder of the same content; the tombstone goes last."""
        target = self.folder(digest)
        for name in self.gone(digest):
            _flush(folder / name)
            (folder / name).rename(target / name)
        sync_folder(target)
        (target / tombstone.NAME).unlink(missing_ok=True)

    def _fault(self, folder: Path, wanted: Mapping[str, str], gone: Mapping[str, str]) -> str | None:
        for name, sha in wanted.items():
            if name in gone:
                continue
            if not (folder / name).is_file():
                return f"{name} is missing"
            if not self._is_intact(folder / name, sha):
                return f"{name} does not match its digest"
        surplus = sorted(n for n in _listing(folder) if n not in wanted and n not in (_INDEX, tombstone.NAME))
        return f"{surplus[0]} does not belong to it" if surplus else None

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


def parsed(path: Path, *, strict: bool = True) -> dict[str, Any] | None:
    """The JSON object in a file; None if it is missing or holds anything else, or NaN where that is not allowed."""
    try:
        value = json.loads(path.read_bytes(), parse_constant=_refuse if strict else None)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _moved(folder: Path, target: Path) -> bool:
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        return False  # something stands there
    return True


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
