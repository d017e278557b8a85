"""Every artifact of a home as SQL views, read-only.

    problems, completions, verdicts, nodes, examples_KIND, example_sources, dropped, evicted, token_scores, state, metric_items
                 the tables of lib.records over all artifacts; metric_rows is the one named `metrics` there
    examples     (artifact, kind, example_id, problem_id) over every kind
    judged       (artifact, completion_id, outcome): whole-completion verdicts of one artifact taken together
    artifacts, inputs, job_models, rounds, metrics, costs, stages
                 from records and round.json; see lib.inventory
    forgotten, forgotten_models
                 what the home was told to forget, the artifacts before and after, the models that had learned from it

In a view over Parquet the first column, `artifact`, is the digest that a row came from: constants compared with it choose
files before any is opened. Nothing is scanned until it is asked. What was published after opening is not seen.

A question must be one SELECT. It can read the artifacts' Parquet files and no other file, and write nowhere. DuckDB's own
switches are not enough for that: `WITH x AS (COPY … TO 'a readable file' (USE_TMP_FILE false)) SELECT …` passes them, so
the parse tree is looked through as well. Not covered: time and memory that a question takes.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple

import pyarrow as pa

from lib import inventory
from lib.errors import DamagedArtifact, UnknownName, UserError
from lib.home import Home
from lib.questions import NAMED
from lib.records import EXAMPLES, TABLES
from lib.whereabouts import Whereabouts

__all__ = ["NAMED", "Answer", "Ledger", "text"]

_VIEW = {"metrics": "metric_rows"}
"""Table → its view, where that has another name."""

_BATCH = 16_384
"""Rows of a batch."""

_READING = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
"""The query nodes of a parse tree that only read."""

_JUDGED = """
CREATE VIEW judged AS
SELECT artifact, completion_id, CASE WHEN bool_or(outcome = 'undecided') THEN 'undecided'
    WHEN bool_and(outcome = 'correct') THEN 'correct' ELSE 'wrong' END AS outcome
FROM verdicts WHERE outcome IS NOT NULL AND step IS NULL AND rival_id IS NULL GROUP BY artifact, completion_id
"""


class Answer(NamedTuple):
    """The columns and rows of an answer."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


class Ledger:
    """The views over one home; close it, or use it in a `with`."""

    def __init__(self, home: Home, *, views: bool = True) -> None:
        """Read the home's records and listings. Raises UserError where one of them is not readable JSON.

        Naming thousands of files to DuckDB takes it long. Without the views over them `part` alone reads tables; it is then
        for questions of our own, which any file of the store is open to.
        """
        from lib import db

        found = inventory.take(home)
        self.home = home
        self._files = found.files
        self._digest_at = len(str(home.store / "artifacts")) + len("/ab/") + 1
        self._spill = tempfile.TemporaryDirectory(prefix="roundhouse-ledger-")
        self._error = db.Error
        self._asking = db.asking
        every = [path for by_artifact in found.files.values() for paths in by_artifact.values() for path in paths]
        if views:
            self._db = db.connect(every, self._spill.name)
        else:
            self._db = db.connect((), self._spill.name, folders=[str(home.store / "artifacts")])
        for name, table in found.tables.items():
            self._db.from_arrow(table).create(name)
        self._db.execute("CREATE SCHEMA empty")
        for name, spec in TABLES.items():
            self._db.from_arrow(spec.empty()).create(f"empty.{name}")
        if views:
            self._create_views()

    def _create_views(self) -> None:
        for name in TABLES:
            self._create_view(_VIEW.get(name, name), self._select(name, self._files[name]))
        kinds = [f"SELECT artifact, '{kind}' AS kind, example_id, problem_id FROM {spec.name}" for kind, spec in EXAMPLES.items()]
        self._db.execute(f"CREATE VIEW examples AS {' UNION ALL '.join(kinds)}")
        self._db.execute(_JUDGED)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()
        self._spill.cleanup()

    def tables(self) -> dict[str, list[str]]:
        """View → its columns, both in order."""
        return {view: list(columns) for view, columns in self.columns().items()}

    def columns(self) -> dict[str, dict[str, str]]:
        """View → column → its SQL type, all in order."""
        found: dict[str, dict[str, str]] = {}
        ours = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE schema_name = 'main' AND NOT internal"
        for row in self.rows(f"{ours} ORDER BY table_name, column_index"):
            found.setdefault(row["table_name"], {})[row["column_name"]] = row["data_type"]
        return found

    def query(self, sql: str, limit: int | None = None) -> Answer:
        """Answer one SELECT, at most `limit` rows of it. Raises UserError for anything else, with the names of the views."""
        if sql.isidentifier():
            raise UnknownName("query", sql, NAMED, "by name")
        self._refuse_writing(sql)
        try:
            with self._asking():
                relation = self._db.sql(sql)
                return Answer(list(relation.columns), (relation if limit is None else relation.limit(limit)).fetchall())
        except self._error as error:
            raise UserError(f"{_one_line(error)}; views: {', '.join(self.tables())}") from None

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """The rows of a query of ours; `$name` in it stands for the parameter of that name."""
        try:
            with self._asking():
                asked = self._db.execute(sql, parameters) if parameters else self._db.execute(sql)
        except self._error as error:  # our own SQL is right, so a file is not
            raise self._damage(error) from None
        columns = [column[0] for column in asked.description or ()]
        with self._asking():
            return [dict(zip(columns, row, strict=True)) for row in asked.fetchall()]

    def batches(self, sql: str) -> pa.RecordBatchReader:
        """The rows of a query of ours, a batch after the other, for answers that need not fit into memory."""
        return self._db.sql(sql).to_arrow_reader(_BATCH)

    @functools.cached_property
    def ids(self) -> Whereabouts:
        """Which artifacts hold an id."""
        return Whereabouts(self.home, self._files)

    def _create_view(self, name: str, sql: str) -> None:
        try:
            self._db.execute(f"CREATE VIEW {name} AS {sql}")
        except self._error as error:  # DuckDB looks into the first file
            self.close()
            raise self._damage(error) from None

    def _damage(self, error: Exception) -> DamagedArtifact:
        return DamagedArtifact(f"a table of {self.home.store} cannot be read ({_one_line(error)}); run again the round that made it")

    def part(self, table: str, artifacts: Iterable[str]) -> str:
        """A view over these artifacts alone, as SQL to stand after FROM: only their files are opened."""
        known = self._files[table]
        return f"({self._select(table, {digest: known[digest] for digest in sorted({*artifacts}) if digest in known})})"

    def files(self, table: str, artifact: str) -> list[str]:
        """The Parquet files of a table in one artifact."""
        return self._files[table].get(artifact, [])

    def _select(self, table: str, files: dict[str, list[str]]) -> str:
        paths = [text(path) for group in files.values() for path in group]
        if not paths:
            return f"SELECT CAST(NULL AS VARCHAR) AS artifact, * FROM empty.{table}"
        columns = ", ".join(TABLES[table].schema.names)
        source = f"read_parquet([{', '.join(paths)}], filename = true)"
        return f"SELECT substr(filename, {self._digest_at}, 64) AS artifact, {columns} FROM {source}"

    def _refuse_writing(self, sql: str) -> None:
        """Raise UserError unless the text is one SELECT that writes nowhere, not even inside a WITH."""
        parsed = json.loads(self._db.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()[0][0])
        if parsed["error"]:
            raise UserError(f"{_one_line(parsed['error_message'])}; ask one SELECT over the views: {', '.join(self.tables())}")
        surplus = sorted({*_nodes(parsed)} - _READING)
        if len(parsed["statements"]) != 1 or surplus:
            raise UserError(f"a question is one SELECT, and this is {', '.join(surplus) or len(parsed['statements'])}; nothing was run")


def text(value: object) -> str:
    """A value as an SQL text literal."""
    return "'" + str(value).replace("'", "''") + "'"


def _nodes(tree: Any) -> Iterator[str]:
    """The types of all query nodes in a parse tree."""
    if isinstance(tree, dict):
        if str(tree.get("type")).endswith("_NODE"):
            yield tree["type"]
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from _nodes(branch)


def _one_line(error: object) -> str:
    """What DuckDB says of a mistake, without its picture of the line."""
    said = str(error).partition("\n\nLINE ")[0]
    return " ".join(said.split()).removesuffix("!")
