"""Which artifacts hold an id, found without opening every Parquet file of a home.

    index/ids.json                   the segments: their name, the artifacts that they cover, how many ids they have
    index/SEGMENT/KIND.parquet       (id, artifact), ordered by id, so that row-group statistics lead to one group

Ids are random, so every one of thousands of files may hold any of them, and opening each for its statistics takes seconds.
Here a few files take their place: each new segment covers what was published since the last, and is joined with the one
before it unless that is four times as large, so that ten million ids lie in a handful. The first question pays for this.
Derived from the artifacts alone, never the truth: without the folder it is made anew, and an artifact that is gone does not
count, whatever a segment says. Up to LOOSE artifacts that no segment covers are looked through as they are, and all of them in
a home that is closed to writing.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lib.errors import DamagedArtifact
from lib.files import locked, write_json
from lib.home import Home
from lib.records import EXAMPLES

log = logging.getLogger(__name__)

COLUMNS = {
    "problem": [("problems", "problem_id")],
    "completion": [("completions", "completion_id")],
    "answered": [("completions", "problem_id")],
    "example": [(spec.name, "example_id") for spec in EXAMPLES.values()],
}
"""Kind of id → the tables and columns that it stands in; `answered` is the problem of a completion."""

LOOSE = 64
"""Artifacts that may stay without a segment."""

JOINED = 4
"""A segment that is not so many times as large as the one after it is joined with it."""

LAST = chr(0x10FFFF)

Files = Mapping[str, Mapping[str, Sequence[str]]]
"""Table → artifact → paths."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Ids of some artifacts."""

    name: str
    artifacts: tuple[str, ...]
    ids: int


class Whereabouts:
    """The ids of one home, brought up to date when it is made."""

    def __init__(self, home: Home, files: Files) -> None:
        self._home = home
        self._files = files
        tables = {table for columns in COLUMNS.values() for table, _ in columns}
        self._known = {artifact for table in tables for artifact in files.get(table, {})}
        self._segments = self._read()
        if len(self._uncovered()) > LOOSE and home.writable:
            with locked(home.index / "ids.lock"):
                self._segments = self._read()
                self._extend()
        self._loose = self._uncovered()

    def like(self, kind: str, low: str, high: str, limit: int) -> list[str]:
        """The first few ids from `low` on and before `high`, in order."""
        return self._asked(kind, "id", f"id >= {_text(low)} AND id < {_text(high)}", f"ORDER BY id LIMIT {limit}")

    def near(self, kind: str, name: str) -> list[str]:
        """The ids that stand just before and just after a name that is none."""
        found: list[str] = []
        for condition, order in ((f"< {_text(name)}", "DESC"), (f"> {_text(name)}", "ASC")):
            for size in range(len(name) - 1, -1, -1):
                within = f"id >= {_text(name[:size])} AND id < {_text(name[:size] + LAST)}"
                if one := self._asked(kind, "id", f"{within} AND id {condition}", f"ORDER BY id {order} LIMIT 1"):
                    found += one
                    break
        return found

    def holders(self, kind: str, name: str) -> list[str]:
        """The artifacts that hold an id, in order."""
        return self._asked(kind, "artifact", f"id = {_text(name)}", "ORDER BY artifact")

    def _asked(self, kind: str, column: str, condition: str, order: str) -> list[str]:
        """`id` or `artifact` over the segments and what is loose, of artifacts that are there."""
        indexed = [str(self._path(segment, kind)) for segment in self._segments if self._path(segment, kind).is_file()]
        sources = [f"SELECT id, artifact FROM read_parquet([{', '.join(map(_text, indexed))}])"] if indexed else []
        files = self._of(kind, self._loose)
        sources += [self._select(column, paths) for (_, column), paths in files if paths]
        if not sources:
            return []
        gone = sorted({name for segment in self._segments for name in segment.artifacts} - self._known)
        without = f" WHERE artifact NOT IN ({', '.join(map(_text, gone))})" if gone else ""
        every = [*indexed, *(path for _, paths in files for path in paths)]
        ids = f"(SELECT * FROM ({' UNION ALL '.join(sources)}){without})"
        return self._run(every, [f"SELECT DISTINCT {column} FROM {ids} WHERE {condition} {order}"])

    def _run(self, files: Sequence[str], statements: Iterable[str], spill_in: Path | None = None) -> list[str]:
        """The first column of the last statement's rows."""
        from lib import db

        with tempfile.TemporaryDirectory(dir=spill_in, prefix="roundhouse-ids-") as spill:
            connection = db.connect(files, spill)
            try:
                for statement in statements:
                    answer = connection.execute(statement)
                return [str(row[0]) for row in answer.fetchall()]
            except db.Error as error:
                said = " ".join(str(error).split())[:200]
                raise DamagedArtifact(f"a table of {self._home.store} cannot be read ({said}); run again the round that made it") from None
            finally:
                connection.close()

    def _of(self, kind: str, artifacts: Iterable[str]) -> list[tuple[tuple[str, str], list[str]]]:
        """Table and column → the files of these artifacts that have it."""
        wanted = sorted(artifacts)
        return [
            ((table, column), [path for artifact in wanted for path in self._files.get(table, {}).get(artifact, ())])
            for table, column in COLUMNS[kind]
        ]

    def _select(self, column: str, paths: Sequence[str]) -> str:
        at = len(str(self._home.store / "artifacts")) + len("/ab/") + 1
        listed = ", ".join(map(_text, paths))
        return f"SELECT DISTINCT {column} AS id, substr(filename, {at}, 64) AS artifact FROM read_parquet([{listed}], filename = true)"

    def _path(self, segment: Segment, kind: str) -> Path:
        return self._home.index / segment.name / f"{kind}.parquet"

    def _uncovered(self) -> list[str]:
        covered = {artifact for segment in self._segments for artifact in segment.artifacts}
        return sorted(self._known - covered)

    def _read(self) -> list[Segment]:
        """The segments, the oldest first; none where they cannot be read, for they can be made again."""
        try:
            return TypeAdapter(list[Segment]).validate_json((self._home.index / "ids.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return []

    def _extend(self) -> None:
        """Cover every artifact; killed in the middle, it leaves the segments as they were."""
        new = self._uncovered()
        if len(new) <= LOOSE:
            return
        log.warning("noting where the ids of %s artifacts are, once …", f"{len(new):,}")
        kept = [*self._segments, self._write(new, {kind: self._sources(kind, new) for kind in COLUMNS})]
        while len(kept) > 1 and kept[-2].ids < JOINED * kept[-1].ids:
            *kept, older, newer = kept
            kept.append(self._joined(older, newer))
        write_json(self._home.index / "ids.json", [asdict(segment) for segment in kept])
        standing = {segment.name for segment in [*self._segments, *kept]}  # somebody may still read those before
        self._segments = kept
        for folder in self._home.index.iterdir():
            if folder.is_dir() and folder.name not in standing:
                shutil.rmtree(folder, ignore_errors=True)

    def _sources(self, kind: str, artifacts: Iterable[str]) -> tuple[list[str], str]:
        """The files that a kind's ids come from, and how."""
        found = [(column, paths) for (_, column), paths in self._of(kind, artifacts) if paths]
        return [path for _, paths in found for path in paths], " UNION ALL ".join(self._select(*each) for each in found)

    def _joined(self, older: Segment, newer: Segment) -> Segment:
        sources = {}
        for kind in COLUMNS:
            paths = [str(path) for segment in (older, newer) if (path := self._path(segment, kind)).is_file()]
            sources[kind] = paths, f"SELECT id, artifact FROM read_parquet([{', '.join(map(_text, paths))}])" if paths else ""
        standing = sorted({*older.artifacts, *newer.artifacts} & self._known)
        return self._write(standing, sources)

    def _write(self, artifacts: Sequence[str], sources: Mapping[str, tuple[list[str], str]]) -> Segment:
        """A segment over these artifacts, from queries for (id, artifact)."""
        made = Segment(uuid.uuid4().hex, tuple(artifacts), 0)
        (self._home.index / made.name).mkdir(parents=True)
        names = f"CREATE TYPE digests AS ENUM ({', '.join(map(_text, artifacts))})"
        total = 0
        for kind, (paths, sql) in sources.items():
            if not sql:
                continue
            target = str(self._path(made, kind))
            rows = f"SELECT id, TRY_CAST(artifact AS digests) AS artifact FROM ({sql})"
            copy = f"COPY (SELECT * FROM ({rows}) WHERE artifact IS NOT NULL ORDER BY id, artifact) TO {_text(target)}"
            counted = self._run(
                [*paths, target], [names, f"{copy} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 16384)"], self._home.index
            )
            total += int(counted[0])
        return Segment(made.name, made.artifacts, total)


def _text(value: str) -> str:
    """A value as an SQL text literal."""
    return "'" + value.replace("'", "''") + "'"
