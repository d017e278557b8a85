"""Every file of every artifact, hashed again: none changed, missing or surplus, each folder what its name says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lib import forgotten, seeds, tombstone
from lib.artifacts import parsed
from lib.audit.expected import collected
from lib.audit.reach import Reach
from lib.audit.report import Report, short

INDEX = ".files.json"
CHUNK = 1 << 22
"""Bytes that are hashed at a time: little enough to show progress within a file."""

Hashed = Callable[[int], None]
"""Called with how many bytes more were hashed."""


class Fault(NamedTuple):
    name: str
    expected: str
    found: str


def check(reach: Reach, report: Report, told: Callable[[int, int], None]) -> None:
    """Look at every artifact; `told` hears of (bytes hashed, bytes in all). Damaged ones are noted for the other checks."""
    total = sum(path.stat().st_size for digest in reach.artifacts for path in _listing(reach.store.folder(digest)).values())
    done = 0

    def hashed(more: int) -> None:
        nonlocal done
        done += more
        told(done, total)

    for digest, where in sorted(reach.artifacts.items(), key=lambda item: (item[1], item[0])):
        folder = reach.store.folder(digest)
        if digest in reach.lost and not folder.exists():
            reach.damaged.add(digest)
            continue
        faults = [*_faults(folder, reach.store.now(digest), hashed, report), *_unrecorded(reach, digest)]
        for fault in faults:
            thing = f"artifact {short(digest)} ({where})" + (f", {fault.name}" if fault.name else "")
            report.add("digests", thing, fault.expected, fault.found, reach.remedies[digest])
        if faults:
            reach.damaged.add(digest)
        elif (forgot := forgotten.stone(reach.store.place(digest))) is not None:
            report.notes.append(
                f"artifact {short(digest)} ({where}) holds less since {forgot.at[:10]}: {', '.join(forgot.what)} was forgotten"
            )
        elif collected(folder) and (stone := tombstone.read(folder)) is not None:
            report.collected.append(stone.sentence(digest))


def _unrecorded(reach: Reach, digest: str) -> Iterator[Fault]:
    """An artifact that another took the place of, when something was forgotten, and no record of that."""
    now = reach.store.now(digest)
    keys, later = ({key for (key, _), _ in reach.published.get(name, ())} for name in (digest, now))
    if now != digest and not keys & later:
        yield Fault("", f"a record under one of its keys of what took its place, {short(now)}", "none")


def _faults(folder: Path, digest: str, hashed: Hashed, report: Report) -> Iterator[Fault]:
    report.counts["artifacts"] += 1
    if not folder.is_dir():
        yield Fault("", "its files", "none: it is not in the store")
        return
    index = parsed(folder / INDEX)
    if index is None:
        yield Fault(INDEX, "the list of its files", "nothing that can be read")
        return
    if (found := seeds.digest(index)) != digest:
        yield Fault(INDEX, f"a list whose sha256 is {short(digest)}", f"one whose sha256 is {short(found)}")
        return
    yield from _file_faults(folder, {str(name): str(sha) for name, sha in index["files"].items()}, hashed, report)


def _file_faults(folder: Path, files: dict[str, str], hashed: Hashed, report: Report) -> Iterator[Fault]:
    there = _listing(folder)
    for name, sha in sorted(files.items()):
        if name not in there:
            if name not in collected(folder):
                yield Fault(name, f"sha256 {short(sha)}", "no such file")
            continue
        try:
            found = _sha256_of(there[name], hashed, report)
        except FileNotFoundError:  # collected just now
            continue
        if found != sha:
            yield Fault(name, f"sha256 {short(sha)}", short(found))
    for name in sorted(there.keys() - files.keys() - {INDEX, tombstone.NAME}):
        yield Fault(name, "no such file", "one that does not belong to it")


def _sha256_of(path: Path, hashed: Hashed, report: Report) -> str:
    made = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            made.update(chunk)
            report.counts["bytes"] += len(chunk)
            hashed(len(chunk))
    report.counts["files"] += 1
    return made.hexdigest()


def _listing(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
