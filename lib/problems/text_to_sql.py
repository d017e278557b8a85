"""Questions over databases with gold queries, in the form of Defog's sql-eval: a CSV and the databases beside it.

Its columns are question, query, db_name and where there are any query_category and instructions. A `query` holds several golds
(sql-eval, `get_all_minimal_queries`): alternatives are parted by `;`, and `{a, b}` stands for each choice of at least one of
its columns; an empty `{}` after it, as in `GROUP BY {}`, repeats the choice. The choice of all columns comes first.
"""

from __future__ import annotations

import functools
import sqlite3
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from lib import records
from lib.datafile import DataFile
from lib.errors import BadProblems
from lib.problems.files import FileProblems
from lib.raw_rows import BadRow, Raw
from lib.seeds import canonical
from lib.strategy import Strategy
from lib.verifiers import postgres_dump
from lib.verifiers.sql import Sql
from lib.verifiers.sql_runner import databases
from lib.verifiers.sql_text import split, tokens

MOST_GOLDS = 64
"""Golds of one question; the choices of a `{a, b, …}` beyond these are left out."""


class TextToSql(FileProblems):
    """A folder with the questions and the databases `NAME.sql`, `NAME.sqlite` or `NAME.db`, or a file of questions alone."""

    task: ClassVar[str] = "text_to_sql"

    databases: DataFile | None = None
    """The folder of the databases; None for `path` itself."""

    def problem(self, raw: Raw) -> dict[str, Any]:
        question, name = raw.text("question"), raw.text("db_name")
        found = databases(self._databases()).get(name)
        if found is None:
            raise BadRow("db_name", f"names the database '{name}', which is not among the files")
        golds = expanded(raw.text("query"))
        if not golds:
            raise BadRow("query", "has no query")
        instructions = str(raw.values.get("instructions") or "").strip()
        parts = (question, instructions, f"The database:\n\n{_schema(found, found.stat().st_mtime_ns)}", "Answer with one SQL query.")
        category, row = raw.values.get("query_category"), raw.where.rpartition(" ")[2]
        return {
            "prompt": records.user_message("\n\n".join(part for part in parts if part)),
            "answer": golds[0],
            "tests": canonical({"database": name, "golds": golds}),
            "category": str(category) if category else None,
            "source_id": f"{name}/{row}",
        }

    def verifiers(self) -> tuple[Strategy, ...]:
        return (Sql(databases=self._databases()),)

    def _databases(self) -> str:
        if self.databases is None and not Path(self.path).expanduser().is_dir():
            raise BadProblems(f"{self.path} has no databases beside it; give their folder as 'databases'")
        return self.databases or self.path


def expanded(query: str) -> list[str]:
    """The golds that a `query` cell stands for, in order and each once."""
    golds = [gold for alternative in split(query) for gold in _choices(alternative)]
    return list(dict.fromkeys(golds))[:MOST_GOLDS]


def _choices(query: str) -> list[str]:
    braces = [token.start for token in tokens(query) if token.kind == "sign" and token.text in "{}"]
    if len(braces) < 2:
        return [query]
    before, inside, after = query[: braces[0]], query[braces[0] + 1 : braces[1]], query[braces[1] + 1 :]
    columns = split(inside, ",")
    chosen = (choice for size in range(len(columns), 0, -1) for choice in combinations(columns, size))
    return [
        before + ", ".join(choice) + after.replace("{}", ", ".join(choice)) for choice, _ in zip(chosen, range(MOST_GOLDS), strict=False)
    ]


@functools.lru_cache(maxsize=256)
def _schema(database: Path, _changed_at: int) -> str:
    """The CREATE TABLE statements of a database."""
    if database.suffix == ".sql":
        return postgres_dump.schema(database.read_text(encoding="utf-8-sig"))
    try:
        connection = sqlite3.connect(f"file:{quote(str(database))}?mode=ro&immutable=1", uri=True)
        found = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL ORDER BY rowid").fetchall()
        connection.close()
    except sqlite3.Error as error:
        raise BadProblems(f"{database} cannot be read as SQLite: {error}") from None
    return "\n\n".join(f"{statement.strip()};" for (statement,) in found)
