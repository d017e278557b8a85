"""Text to SQL by execution: a query is right if it returns what a gold query returns (Zhong, Yu & Klein 2020).

Accepts `SELECT year, count(*) FROM paper GROUP BY 1` for the gold `SELECT COUNT(paperid) AS n, year FROM paper GROUP BY year`;
how results are compared stands in `lib.verifiers.sql_rows`, how the query is found in an answer in `lib.verifiers.sql_text`.
Rejects a query with a column too many, other rows, the gold's rows in another order where the gold orders them, more than one
statement, and whatever is no query or runs past its time or memory. With several golds any of them counts.
Databases are dumps of PostgreSQL (`NAME.sql`, run in DuckDB, whose SQL is close to PostgreSQL's: a function such as to_char
that only the latter has makes a gold unreadable and a candidate wrong) and SQLite files (`NAME.sqlite`, `NAME.db`).
Does not catch: a wrong query that returns the gold's rows by chance, the likelier the smaller the database (0 rows and a
count of 0 above all); rows left to chance by a LIMIT among ties, which count as wrong; a query whose result depends on the
time or on a random number. A hang of ours, a crash and a gold that does not run are undecided.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from lib.datafile import DataFile
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.sql_runner import SqlRunner, Tests, tests_of
from lib.verifiers.verdicts import Judgement, verdicts_of


class Sql(Strategy):
    """One verdict per completion; undecided where it was not sampled, or where no gold of its problem runs."""

    name: ClassVar[str] = "sql"
    knows_gold: ClassVar[bool] = True

    databases: DataFile
    """A folder of databases NAME.sql, NAME.sqlite or NAME.db, each in a folder NAME of its own or not; or one such file."""
    seconds: float = Field(default=5.0, gt=0, le=300)
    """How long one query may run."""

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        """Raises BadProblems for a database that cannot be opened."""
        texts = zip(tables.problems["problem_id"].to_pylist(), tables.problems["tests"].to_pylist(), strict=True)
        asked = {problem: tests_of(text) for problem, text in texts}
        columns = (tables.completions[name].to_pylist() for name in ("problem_id", "text", "finish_reason"))
        rows = [(asked.get(problem), text, finish) for problem, text, finish in zip(*columns, strict=True)]
        order = sorted(range(len(rows)), key=lambda row: rows[row][0] or ())  # each database is loaded once, each gold run once
        judgements: dict[int, Judgement] = {}
        with SqlRunner(self.databases, self.seconds) as runner:
            for row in order:
                tables.report(len(judgements), len(rows))
                judgements[row] = _judge(runner, *rows[row])
        return verdicts_of(tables.completions, self.name, [judgements[row] for row in range(len(rows))])

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows


def _judge(runner: SqlRunner, tests: Tests | None, text: str, finish_reason: str) -> Judgement:
    if finish_reason == "error":
        return Judgement("undecided", "not sampled")
    return runner.judge(tests, text, finish_reason) if tests else Judgement("undecided", "unreadable problem")
