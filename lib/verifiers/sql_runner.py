"""The parent's side of running SQL: which file is which database, and what a child's silence means.

A candidate that the child did not answer in time ran past its limit; a child that died, and golds that took too long, say
nothing about the candidate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from lib.errors import BadProblems
from lib.verifiers import sql_child
from lib.verifiers.killable import Killable
from lib.verifiers.sql_text import LONGEST_QUERY, query_in
from lib.verifiers.verdicts import Judgement

SUFFIXES = (sql_child.DUMP, ".sqlite", ".sqlite3", ".db")
GRACE_SECONDS = 2.0
"""How long a query that its engine was told to stop may take to heed it."""
LOAD_SECONDS = 120.0
"""How long a database may take to load."""


class Tests(NamedTuple):
    """What the `tests` of a text-to-SQL problem hold: the name of a database, and queries any of which is right."""

    database: str
    golds: tuple[str, ...]


def tests_of(text: str | None) -> Tests | None:
    """`{"database": NAME, "golds": [QUERY, …]}` as an object, or None where the text is anything else."""
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    database, golds = found.get("database"), found.get("golds")
    if not isinstance(database, str) or not isinstance(golds, list) or not golds or not all(isinstance(gold, str) for gold in golds):
        return None
    return Tests(database, tuple(golds))


def databases(place: str) -> Mapping[str, Path]:
    """Name → file, of a folder's databases and of those in folders of their own name; of a single file itself.

    Raises BadProblems where there are none.
    """
    folder = Path(place).expanduser()
    inside = [*sorted(folder.glob("*")), *(file for file in sorted(folder.glob("*/*")) if file.stem == file.parent.name)]
    files = {file.stem: file for file in reversed([folder, *inside]) if file.suffix in SUFFIXES and file.is_file()}
    if not files:
        raise BadProblems(f"{place} has no database NAME{', NAME'.join(SUFFIXES)}; give the folder that has them")
    return files


class SqlRunner:
    """Judges answers one after the other; those to one problem, and problems of one database, best come together."""

    def __init__(self, place: str, seconds: float) -> None:
        """Raises BadProblems where there are no databases."""
        self._files = databases(place)
        self._seconds = seconds
        self._child = Killable(sql_child.__name__)
        self._ready: Tests | None = None
        self._fault: Judgement | None = None

    def __enter__(self) -> SqlRunner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._child.stop()

    def judge(self, tests: Tests, text: str, finish_reason: str) -> Judgement:
        """The verdict on one answer. Raises BadProblems where the problem's database cannot be opened."""
        asked = query_in(text)
        if finish_reason == "length" and not (asked and asked.is_closed):
            return Judgement("wrong", "cut off by the length limit")
        if asked is None:
            return Judgement("wrong", "no query")
        if len(asked.query) > LONGEST_QUERY:
            return Judgement("wrong", f"query longer than {LONGEST_QUERY} characters")
        if any("\ud800" <= sign <= "\udfff" for sign in asked.query):  # DuckDB crashes on these
            return Judgement("wrong", "an unpaired surrogate in the query")
        return self._prepare(tests) or self._candidate(asked.query)

    def _candidate(self, query: str) -> Judgement:
        try:
            said = self._child.ask({"query": query, "seconds": self._seconds}, self._seconds + GRACE_SECONDS)
        except TimeoutError:
            self._ready = None
            return Judgement("wrong", "time limit")
        except EOFError:
            self._ready = None
            return Judgement("undecided", "the database's process ended")
        if said["spent"]:
            self._child.stop()
            self._ready = None
        return Judgement(said["outcome"], said["reason"])

    def _prepare(self, tests: Tests) -> Judgement | None:
        """Have the golds run, unless they have; what to say of every answer to this problem where none of them does."""
        if self._ready != tests:
            self._fault = self._golds(tests)
            self._ready = tests
        return self._fault

    def _golds(self, tests: Tests) -> Judgement | None:
        file = self._files.get(tests.database)
        if file is None:
            return Judgement("undecided", f"no database {tests.database[:100]!r}")
        question = {"database": str(file), "golds": tests.golds, "seconds": self._seconds}
        try:
            said = self._child.ask(question, LOAD_SECONDS + len(tests.golds) * (self._seconds + GRACE_SECONDS))
        except (TimeoutError, EOFError):
            return Judgement("undecided", "unreadable gold: its process ended")
        if "broken" in said:
            raise BadProblems(f"{file} cannot be opened as a database: {said['broken']}")
        return None if None in said["errors"] else Judgement("undecided", f"unreadable gold: {said['errors'][0]}")
