"""A file of recorded completions as the tables that stages read: completions, the problems they answer, and their labels.

Labels and scores are verdicts by the verifier `recorded:COLUMN`. A label with several parts is one verdict on the whole
(correct if every part is, its score their share) and one for each part, by `step`. Nobody knows the tokens that were
sampled, so `prompt_ids`, `completion_ids` and `logprobs` are empty, temperature and seed 0 and top_p 1: a filter drops such
rows as `no token to learn`. Completions of our own tables keep all they have.

A record that was asked in other words than the set's and brings unit tests of its own (another edition, with other
signatures) is judged by these: its label came from them, and the set's tests may not fit what it was asked.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import records, tables
from lib.datafile import DataFile, digest
from lib.errors import BadProblems
from lib.raw_rows import Fault, Raw, read
from lib.recordings.columns import Columns, layout_of
from lib.recordings.finding import Finder
from lib.recordings.layouts import Recording, recordings_of
from lib.recordings.rows import RECORDED, completion_row, label_rows, own_problem
from lib.strategy import Strategy


@dataclass(slots=True)
class Found:
    """What came out of a file."""

    problems: list[dict[str, Any]] = field(default_factory=list)
    completions: list[dict[str, Any]] = field(default_factory=list)
    labels: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    by_own_tests: int = 0
    """Completions of the set's problems that are judged by the tests that they brought."""


class Recordings(Strategy):
    """Completions that somebody else sampled, in a file of any layout that `lib.recordings.layouts` knows."""

    path: DataFile
    """JSONL, JSON, CSV, TSV or Parquet, gzipped or not; or a table of completions out of a store."""
    columns: Columns = Columns()
    """Columns that are given by name; the others are found."""

    def brings_tests(self) -> bool:
        """Whether the first row has unit tests; BadProblems where not even that can be read."""
        if _own_table(self.path) is not None:
            return False
        first = next((raw for raw in read(Path(self.path).expanduser()) if isinstance(raw, Raw)), None)
        return first is not None and {"test", "entry_point"} <= first.values.keys()

    def found(self, problems: pa.Table | None) -> Found:
        """Every completion with its problem: one of these, or where none are given those that the file itself brings.

        A problem without a completion is left out. Raises BadProblems where the file cannot be read at all.
        """
        if (own := _own_table(self.path)) is not None:
            return _of_own_table(own, problems)
        known = _Known(problems) if problems is not None else None
        made, taken = Found(), _Taken()
        used: dict[str, dict[str, Any]] = {}
        for recording in _recordings(self, digest(self.path)):
            if isinstance(recording, Fault):
                made.faults.append(recording)
                continue
            problem = own_problem(recording) if known is None else known.problem(recording)
            if problem is None:
                made.faults.append(_unknown(recording, given=known is not None))
            elif index := taken.place(problem["problem_id"], recording):
                used.setdefault(problem["problem_id"], problem)
                made.by_own_tests += known is not None and not known.has(problem)
                row = completion_row(replace(recording, sample_index=index[0]), problem["problem_id"], self._model(recording))
                made.completions.append(row)
                made.labels += label_rows(recording, row["completion_id"])
            else:
                made.faults.append(Fault(recording.where, "", f"repeats sample {recording.sample_index} of its problem"))
        made.problems = list(used.values())
        return made

    def _model(self, recording: Recording) -> str:
        """The name that the file gives, or else the file's own content."""
        return RECORDED + (recording.model or digest(self.path).removeprefix("sha256:")[:12])


class _Known:
    """The problems of a given set."""

    def __init__(self, problems: pa.Table) -> None:
        self._finder = Finder(problems)
        self._rows = {row["problem_id"]: row for row in problems.to_pylist()}

    def has(self, problem: Mapping[str, Any]) -> bool:
        return problem["problem_id"] in self._rows

    def problem(self, recording: Recording) -> dict[str, Any] | None:
        """The problem that a record answers, or its own edition of it; one without an id in its set takes the record's."""
        found = self._rows.get(self._finder.find(recording) or "")
        if found is None:
            return None
        if recording.tests is not None and not self._finder.is_same_prompt(recording, found["problem_id"]):
            own = own_problem(recording)
            return own and {**own, "task": found["task"]}
        return found if found["source_id"] or recording.is_position else {**found, "source_id": recording.source_id}


class _Taken:
    """Gives each completion of a problem and a model its index."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, str | None], int] = {}
        self._used: set[tuple[str, str | None, int]] = set()

    def place(self, problem_id: str, recording: Recording) -> tuple[int] | None:
        """The index that the file gives, or the next; None where another completion has it."""
        of = problem_id, recording.model
        index = recording.sample_index if recording.sample_index is not None else self._next.get(of, 0)
        if (*of, index) in self._used:
            return None
        self._used.add((*of, index))
        self._next[of] = max(index + 1, self._next.get(of, 0))
        return (index,)


@functools.lru_cache(maxsize=4)
def _recordings(source: Recordings, _content: str) -> tuple[Recording | Fault, ...]:
    path = Path(source.path).expanduser()
    raws = list(_placed(path))
    rows = [raw.values for raw in raws if isinstance(raw, Raw)]
    if not rows:
        first = f" (the first fault: {raws[0]})" if raws else ""
        raise BadProblems(f"{path} has no row that can be read{first}")
    layout = layout_of(rows, source.columns, source.path)
    return tuple(found for raw in raws for found in ([raw] if isinstance(raw, Fault) else recordings_of(raw, layout)))


def _placed(path: Path) -> Iterator[Raw | Fault]:
    """The rows of a file; a single file's name is left out of their places, which equal files share."""
    for raw in read(path):
        yield raw._replace(where=raw.where.removeprefix(f"{path.name} "))


def _unknown(recording: Recording, *, given: bool) -> Fault:
    if not given:
        return Fault(recording.where, "", "brings no problem: neither a prompt nor an id and a gold answer")
    if recording.source_id is not None:
        return Fault(recording.where, "", f"answers no problem of the set (id {recording.source_id!r:.60})")
    return Fault(recording.where, "", f"answers no problem of the set (prompt {recording.prompt!r:.60})")


def _own_table(path: str) -> list[Path] | None:
    """The files of our own completions at a path: one file, or those of an artifact's folder; None where there are none."""
    place = Path(path).expanduser()
    files = (
        sorted(place.rglob("completions.parquet")) if place.is_dir() else [place] if place.suffix == ".parquet" and place.is_file() else []
    )
    try:
        return files if files and all(tables.spec_id(file) == records.COMPLETIONS.id for file in files) else None
    except pa.ArrowInvalid as error:
        raise BadProblems(f"{path} cannot be read as parquet: {' '.join(str(error).split())[:200]}") from None


def _of_own_table(files: list[Path], problems: pa.Table | None) -> Found:
    """Our own completions as they are, with the problems given or those that lie beside them."""
    if problems is None:
        beside = [file.with_name("problems.parquet") for file in files if file.with_name("problems.parquet").is_file()]
        if not beside:
            raise BadProblems(f"{files[0]} has no problems.parquet beside it; name the problem set with --problems")
        problems = tables.read(beside, records.PROBLEMS)
    rows = {row["problem_id"]: row for row in problems.to_pylist()}
    made, used = Found(), {}
    for number, row in enumerate(tables.read(files, records.COMPLETIONS).to_pylist(), start=1):
        if row["problem_id"] not in rows:
            made.faults.append(Fault(f"row {number}", "problem_id", f"answers no problem of the set ({row['problem_id']})"))
            continue
        used[row["problem_id"]] = rows[row["problem_id"]]
        made.completions.append(row)
    made.problems = list(used.values())
    return made
