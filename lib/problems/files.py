"""What every problem set read from files shares: ids from content, splits, and a report of what is wrong with the data.

A set with files of its own for testing (`test.jsonl` beside `train.jsonl`) keeps them for the test split, and a hash of the
problem's id divides the rest into validation (a twelfth), gate (a twelfth) and train. A single file is divided by the same
hash into validation, gate, test (a twelfth each) and train. The split `all` is every problem.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from lib import records, seeds
from lib.datafile import DataFile, digest
from lib.errors import BadProblems, UnknownName
from lib.hub import HUB
from lib.raw_rows import BadRow, Fault, Raw, read
from lib.strategy import Strategy

SPLITS = ("validation", "gate", "test", "train", "all")
BUCKETS = 12


@dataclass(frozen=True, slots=True)
class Pool:
    """Every usable problem of a set by split, and what is to be said of the data."""

    rows: Mapping[str, tuple[dict[str, Any], ...]]
    faults: tuple[Fault, ...]
    duplicates: tuple[str, ...]
    """One line for each row that repeats an earlier one of its file or files; the first is kept."""
    overlaps: tuple[str, ...]
    """One line for each training row that a test file has too; the test file keeps it."""


class FileProblems(Strategy, ABC):
    """Base of the sets that come in files; a subclass says how a raw row becomes a problem."""

    task: ClassVar[str]
    test_files: ClassVar[tuple[str, ...]] = ("test.*",)
    """Patterns of the files that hold the test split, where the path is a folder."""
    train_files: ClassVar[tuple[str, ...]] = ("train.*",)
    """Patterns of the files that hold the rest."""

    path: DataFile
    """A file, or a folder with a train and a test file; or `hf:OWNER/NAME` with `@REVISION`, on the hub."""

    @abstractmethod
    def problem(self, raw: Raw) -> dict[str, Any]:
        """A raw row's fields of records.PROBLEMS, at least `prompt`; raises BadRow with the field at fault.

        `problem_id`, `task`, `source` and `born_round` are filled in here.
        """

    @abstractmethod
    def verifiers(self) -> tuple[Strategy, ...]:
        """What judges a completion of this set."""

    def problems(self, split: str, count: int, seed: int, exclude: Container[str] = ()) -> pa.Table:
        """`count` distinct problems of one split in the order of the seed; asking for more keeps those already given.

        Raises BadProblems if there are fewer.
        """
        found = self._left(split, exclude)
        if len(found) < count:
            raise BadProblems(f"{self.path} has {len(found)} problems left for split '{split}' and {count} were asked for; ask for fewer")
        order = sorted(found, key=lambda row: (seeds.seed_of(seed, split, row["problem_id"]), row["problem_id"]))
        return records.PROBLEMS.table(list(order[:count]))

    def available(self, split: str, exclude: Container[str] = ()) -> int:
        """How many problems a split has outside `exclude`."""
        return len(self._left(split, exclude))

    def every(self) -> pa.Table:
        """Every problem of every file, in the order of the files."""
        return records.PROBLEMS.table(list(self.pool().rows["all"]))

    def pool(self) -> Pool:
        """The whole set, read once a process. Raises BadProblems where no row can be used."""
        return _pool(self, digest(self.path))

    def left_out(self) -> list[str]:
        """What its files hold that is no problem of it, a line for each kind with the first of them."""
        pool = self.pool()
        kinds = (
            ("that cannot be used", pool.faults),
            ("that were there before", pool.duplicates),
            ("for training, found in the test file", pool.overlaps),
        )
        return [
            f"{self.path}: left out {len(found):,} row{'s' if len(found) > 1 else ''} {what} (the first: {found[0]})"
            for what, found in kinds
            if found
        ]

    def _left(self, split: str, exclude: Container[str]) -> list[dict[str, Any]]:
        if split not in SPLITS:
            raise UnknownName("split", split, SPLITS, f"of {type(self).__name__}")
        return [row for row in self.pool().rows[split] if row["problem_id"] not in exclude]

    def _files(self) -> tuple[list[Path], list[Path]]:
        """The files of the test split, and the others; a single file, and a folder without a test file, are all others."""
        place = Path(self.path).expanduser()
        if not place.is_dir():
            return [], [place]
        found = [sorted(file for pattern in patterns for file in place.glob(pattern)) for patterns in (self.test_files, self.train_files)]
        return (found[0], found[1]) if any(found) else ([], [place])


@functools.lru_cache(maxsize=8)
def _pool(source: FileProblems, _content: str) -> Pool:
    if source.path.startswith(HUB):
        from lib.problems.hub import hub_rows

        parts: tuple[list[Raw | Fault], ...] = hub_rows(source.path)
    else:
        parts = tuple([raw for file in files for raw in read(file)] for files in source._files())
    faults: list[Fault] = []
    duplicates: list[str] = []
    overlaps: list[str] = []
    test, train = (_usable(source, raws, faults, duplicates) for raws in parts)
    for problem_id in [known for known in train if known in test]:
        overlaps.append(f"{train.pop(problem_id)[0]} is also in the test file, at {test[problem_id][0]}")
    if not test and not train:
        first = f" (the first: {faults[0]})" if faults else ""
        raise BadProblems(f"{source.path} has no usable problem among {sum(map(len, parts))} rows{first}")
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    rows["test"] = [row for _, row in test.values()]
    for _, row in train.values():
        rows[_split_of(row["problem_id"], own_test=bool(test))].append(row)
    rows["all"] = [row for part in (train, test) for _, row in part.values()]
    return Pool({split: tuple(found) for split, found in rows.items()}, tuple(faults), tuple(duplicates), tuple(overlaps))


def _usable(
    source: FileProblems, raws: list[Raw | Fault], faults: list[Fault], duplicates: list[str]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Problem id → where its first row stands, and the row."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for raw in raws:
        if isinstance(raw, Fault):
            faults.append(raw)
            continue
        try:
            fields = source.problem(raw)
        except BadRow as bad:
            faults.append(Fault(raw.where, bad.field, bad.why))
            continue
        problem_id = seeds.short_id(source.task, fields["prompt"])
        row = {"problem_id": problem_id, "task": source.task, "source": "given", "born_round": 0, **fields}
        if problem_id in found:
            answers = found[problem_id][1].get("answer"), row.get("answer")
            other = "" if answers[0] == answers[1] else f" with another answer ({answers[1]!r}, not {answers[0]!r})"
            duplicates.append(f"{raw.where} repeats {found[problem_id][0]}{other}")
            continue
        found[problem_id] = raw.where, row
    return found


def _split_of(problem_id: str, *, own_test: bool) -> str:
    bucket = seeds.seed_of("split", problem_id) % BUCKETS
    held_out = ("validation", "gate") if own_test else ("validation", "gate", "test")
    return held_out[bucket] if bucket < len(held_out) else "train"
