"""The child process of the verifier `Sql`: one database open at a time, golds run and kept, candidates run and compared.

Questions: `{"database", "golds", "seconds"}` opens the database and runs its golds, and is answered with one error or null
each (`{"errors": […]}`), or `{"broken": why}` where the database itself cannot be opened; `{"query", "seconds"}` runs a
candidate against them and is answered with `{"outcome", "reason", "spent"}`. `spent` asks for another child: one that hit
its memory or time may have less of both for the next.

DuckDB: the dump's tables in memory, no file or network, configuration locked, a single SELECT in a read-only transaction.
SQLite: the file opened read-only and immutable, an authoriser that allows reading, functions and recursion, and nothing else.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lib.errors import BadProblems
from lib.verifiers.killable import serve
from lib.verifiers.postgres_dump import statements
from lib.verifiers.sql_rows import Result, Wanted, difference, wanted
from lib.verifiers.sql_text import without_schema

MEMORY_BYTES = 2 << 30
"""Address space beyond what imports take."""
ENGINE_MEMORY_MB = 512
"""What an engine may hold, by its own count."""
LARGEST_RESULT = 100_000
"""Rows that a gold may return."""
LONGEST_REASON = 200
DUMP = ".sql"

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_FORBIDDEN = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"}
_FAULTS = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError, RuntimeError)
_MEMORY_WORDS = ("out of memory", "bad alloc", "failed to allocate", "string or blob too big", "cannot create a string of size")

Run = Callable[[str, int, float], Result]


class TooSlow(Exception):
    """A query that ran past its limit and heeded it."""


class Refused(Exception):
    """A query that is not a single SELECT."""


class Session:
    """What the child knows between questions."""

    def __init__(self) -> None:
        self._path = ""
        self._run: Run | None = None
        self._golds: list[Wanted] = []

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        if "golds" not in question:
            return self._judge(question["query"], question["seconds"])
        try:
            self._open(question["database"])
        except (*_faults(), BadProblems, OSError) as error:
            return {"broken": _short(error)}
        self._golds, errors = [], []
        for query in question["golds"]:
            errors.append(self._gold(query, question["seconds"]))
        return {"errors": errors}

    def _open(self, path: str) -> None:
        if path != self._path:
            self._run, self._path = None, ""  # the one before goes first
            self._run = _duckdb(path) if path.endswith(DUMP) else _sqlite(path)
            self._path = path

    def _gold(self, query: str, seconds: float) -> str | None:
        assert self._run is not None
        try:
            result = self._run(query, LARGEST_RESULT + 1, seconds)
        except _faults() as error:
            return _short(error)
        if len(result.rows) > LARGEST_RESULT:
            return f"more than {LARGEST_RESULT} rows"
        self._golds.append(wanted(query, result))
        return None

    def _judge(self, query: str, seconds: float) -> dict[str, Any]:
        assert self._run is not None
        try:
            found = self._run(query, max(len(gold.rows) for gold in self._golds) + 1, seconds)
        except _faults() as error:
            spent = isinstance(error, TooSlow | MemoryError) or _is_memory(str(error))
            return {"outcome": "wrong", "reason": _short(error), "spent": spent}
        faults = [difference(gold, found) for gold in self._golds]
        if None in faults:
            return {"outcome": "correct", "reason": "same result", "spent": False}
        return {"outcome": "wrong", "reason": str(faults[0]), "spent": False}


def _faults() -> tuple[type[Exception], ...]:
    from lib import db

    return (*_FAULTS, TooSlow, Refused, db.Error)


def _is_memory(message: str) -> bool:
    return any(words in message.lower() for words in _MEMORY_WORDS)


def _short(error: Exception) -> str:
    if isinstance(error, TooSlow):
        return "time limit"
    if isinstance(error, MemoryError) or _is_memory(str(error)):
        return "memory limit"
    line = str(error).strip().partition("\n")[0] or type(error).__name__
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line[:LONGEST_REASON])


def _duckdb(path: str) -> Run:
    """A dump loaded into memory. Raises db.Error for a statement that DuckDB does not run."""
    from lib import db

    connection = db.connect((), "", memory_limit=f"{ENGINE_MEMORY_MB}MB")
    for statement in statements(Path(path).read_text(encoding="utf-8-sig")):
        connection.execute(statement)

    def run(query: str, most_rows: int, seconds: float) -> Result:
        query = without_schema(query)
        found = connection.extract_statements(query)
        if len(found) != 1 or found[0].type.name != "SELECT":
            raise Refused("not a single SELECT" if found else "no query")
        with _interrupted(connection.interrupt, seconds):
            connection.execute("BEGIN TRANSACTION READ ONLY")
            try:
                connection.execute(query)
                rows = connection.fetchmany(most_rows)
                return Result(tuple(column[0] for column in connection.description or ()), rows)
            finally:
                connection.execute("ROLLBACK")

    return run


def _sqlite(path: str) -> Run:
    """A database file. Raises sqlite3.Error where it is none."""
    connection = sqlite3.connect(f"file:{quote(path)}?mode=ro&immutable=1", uri=True, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    for setting in ("query_only = 1", "trusted_schema = 0", "temp_store = MEMORY", f"hard_heap_limit = {ENGINE_MEMORY_MB << 20}"):
        connection.execute(f"PRAGMA {setting}").fetchall()
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 64 << 20)
    connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    connection.set_authorizer(_allowed)

    def run(query: str, most_rows: int, seconds: float) -> Result:
        deadline = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        try:
            cursor = connection.execute(query)
            rows = cursor.fetchmany(most_rows)
        except sqlite3.OperationalError as error:
            if str(error) == "interrupted":
                raise TooSlow from None
            raise
        if cursor.description is None:
            raise Refused("no query")
        columns = tuple(column[0] for column in cursor.description)
        cursor.close()
        return Result(columns, rows)

    return run


def _allowed(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    is_allowed = action in _ALLOWED and not (action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _FORBIDDEN)
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


@contextmanager
def _interrupted(interrupt: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `interrupt` after the limit, and raise TooSlow for the error that this makes."""
    is_late = threading.Event()

    def stop() -> None:
        is_late.set()
        interrupt()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except _faults():
        if is_late.is_set():
            raise TooSlow from None
        raise
    finally:
        timer.cancel()


if __name__ == "__main__":
    from lib import db  # noqa: F401  before the memory limit counts

    serve(Session().answer, MEMORY_BYTES)
