"""The only module that imports duckdb: relations over the tables that a filter stage reads.

Filters and builders write SQL over these names:

    problems, held_out             records.PROBLEMS; the problems completed, and those of the held-out splits
    completions, all_completions   records.COMPLETIONS; those that still stand, and all that the stage was given
    verdicts                       records.VERDICTS
    dropped                        (completion_id, filter, reason) so far
    judged(verifier)               (completion_id, outcome, score), one row per standing completion; see below
    draw(id)                       a text whose order is random, and a function of the stage's seed and the id alone
    sequence(prompt, completion)   token ids of a training row
    labels(prompt, completion, mask)   its labels: IGNORED over the prompt and wherever the mask (or null) is 0

`judged(NULL)` reads every verifier, `judged('countdown')` one. It counts verdicts on the whole completion only (no step,
no rival, outcome set). Its outcome is `undecided` if any of them is, else `correct` if all are, else `wrong`, and
`no verdict` where there are none; its score is their mean, a missing score counting 1 if correct and 0 if not.

Tables live in memory up to a limit and then spill to disk, results leave in batches, so the number of rows is bounded
by the disk. SQL reaches the files given and the spill folder, nothing else, and cannot change this;
it is the recipe's own code, though, and could still overwrite the files given (COPY inside WITH passes DuckDB's lock).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from lib import tables
from lib.errors import BrokenConservation, UnknownName, UserError
from lib.records import COMPLETIONS, IGNORED, PROBLEMS, VERDICTS, TableSpec

Relation = duckdb.DuckDBPyRelation
Connection = duckdb.DuckDBPyConnection
Error = duckdb.Error

BATCH = 16_384
"""Rows of an Arrow record batch."""

_SOURCES = {"problems": PROBLEMS, "held_out": PROBLEMS, "all_completions": COMPLETIONS, "verdicts": VERDICTS}

_SCHEMA = f"""
CREATE TABLE dropped (completion_id VARCHAR, filter VARCHAR, reason VARCHAR);
CREATE VIEW completions AS SELECT * FROM all_completions ANTI JOIN dropped USING (completion_id);
CREATE MACRO sequence(prompt, completion) AS list_concat(prompt, completion);
CREATE MACRO labels(prompt, completion, mask) AS list_concat(
    list_transform(prompt, lambda token: {IGNORED}),
    CASE WHEN mask IS NULL THEN completion
         ELSE list_transform(completion, lambda token, i: CASE WHEN mask[i] = 0 THEN {IGNORED} ELSE token END) END);
CREATE MACRO judged(named) AS TABLE
    WITH said AS (
        SELECT completion_id, bool_or(outcome = 'undecided') AS undecided, bool_and(outcome = 'correct') AS correct,
            list(coalesce(score, CASE WHEN outcome = 'correct' THEN 1.0 ELSE 0.0 END) ORDER BY verifier, score) AS scores
        FROM verdicts
        WHERE outcome IS NOT NULL AND step IS NULL AND rival_id IS NULL AND (named IS NULL OR verifier = named)
        GROUP BY completion_id)
    SELECT c.completion_id,
        CASE WHEN undecided THEN 'undecided' WHEN correct THEN 'correct' WHEN NOT correct THEN 'wrong'
             ELSE 'no verdict' END AS outcome,
        list_sum(scores) / len(scores) AS score
    FROM (SELECT completion_id FROM completions) AS c LEFT JOIN said USING (completion_id);
"""


class Rows:
    """The tables of one filter stage, open for SQL; close it, or use it in a `with`.

    One thread by default: with more, equal rows may come in another order wherever a query leaves the order open.
    """

    def __init__(
        self,
        files: Mapping[str, Sequence[Path]],
        seed: int,
        spill: Path,
        *,
        threads: int = 1,
        memory_limit: str = "2GB",
    ) -> None:
        """Open `files["problems"]`, `["completions"]`, `["verdicts"]` and `["held_out"]`; one that is missing is empty.

        Raises SchemaMismatch if a file holds another table or version.
        """
        self.seed = seed
        self._numbers = itertools.count()
        self._db = duckdb.connect(
            ":memory:",
            config={
                "threads": threads,
                "memory_limit": memory_limit,
                "temp_directory": str(spill),
                "preserve_insertion_order": False,
                "python_enable_replacements": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        for name, spec in _SOURCES.items():
            self._open(name, spec, files.get("completions" if name == "all_completions" else name, ()))
        self._db.execute(_SCHEMA)
        self._db.execute(f"CREATE MACRO draw(id) AS md5('{int(seed)}:' || id)")
        allowed = [_text(path) for group in files.values() for path in group]
        self._db.execute(f"SET allowed_paths = [{', '.join(allowed)}]")
        self._db.execute("SET enable_external_access = false; SET lock_configuration = true")

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._db.close()

    def _open(self, name: str, spec: TableSpec, files: Sequence[Path]) -> None:
        for path in files:
            tables.check(path, spec)
        if files:
            listed = ", ".join(_text(path) for path in files)
            self._db.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{listed}])")
        else:
            self._db.from_arrow(spec.empty()).create(name)

    def sql(self, query: str, **parameters: object) -> Relation:
        """The relation of a query; `$name` in it stands for the parameter of that name. Nothing runs until it is read."""
        return self._db.sql(query, params=parameters or None)

    def count(self, query: str, **parameters: object) -> int:
        """The single number that a query returns."""
        return int(self.sql(query, **parameters).fetchall()[0][0])

    def hold(self, name: str, query: str, **parameters: object) -> None:
        """Run a query now and keep its rows as table `name`, for queries that share them. It may spill."""
        self._replace(name, self.sql(query, **parameters))

    def each(self, query: str, reason: Callable[..., str | None]) -> Relation:
        """(completion_id, reason) by a Python function of the query's columns after the first, which is completion_id.

        For what SQL cannot say. One batch of rows is in Python at a time, so memory stays flat; it is slower than SQL.
        """
        name = f"_each_{next(self._numbers)}"
        self._db.execute(f"CREATE TABLE {name} (completion_id VARCHAR, reason VARCHAR)")
        for batch in self._db.cursor().sql(query).to_arrow_reader(BATCH):
            ids, *columns = batch.columns
            cells = zip(*(column.to_pylist() for column in columns), strict=True)
            said = pa.array([reason(*row) for row in cells], pa.string())
            self._db.from_arrow(pa.table({"completion_id": ids, "reason": said})).insert_into(name)
        return self.sql(f"SELECT * FROM {name}")

    def known_verifier(self, name: str | None) -> str | None:
        """The name as it was given; raises UnknownName if there are verdicts and none by that verifier."""
        known = [row[0] for row in self.sql("SELECT DISTINCT verifier FROM verdicts").fetchall()] if name else []
        if known and name not in known:
            raise UnknownName("verifier", str(name), known, "among the verdicts")
        return name

    def narrow(self, said: Relation, by: str) -> None:
        """Drop from `completions` what a filter's relation (completion_id, reason) gives a reason for.

        Raises UserError for other columns and BrokenConservation unless each standing completion is named exactly once.
        """
        if sorted(said.columns) != ["completion_id", "reason"]:
            raise UserError(f"{by}.filter returned columns ({', '.join(said.columns)}); wanted (completion_id, reason)")
        self._replace("_said", said)
        standing = self.count("SELECT count(*) FROM completions")
        named = self.count("SELECT count(*) FROM _said")
        right = self.count("SELECT count(DISTINCT completion_id) FROM _said SEMI JOIN completions USING (completion_id)")
        if not standing == named == right:
            raise BrokenConservation(f"{by} named {named} rows, {right} of the {standing} completions that stood")
        self.drop(self.sql("SELECT * FROM _said WHERE reason IS NOT NULL"), by)

    def drop(self, said: Relation, by: str) -> None:
        """Drop the completions of a relation (completion_id, reason), under the name of who dropped them."""
        self._replace("_drops", said)
        self._db.execute("INSERT INTO dropped SELECT completion_id, $by, reason FROM _drops", {"by": by})

    def write(self, relation: Relation, spec: TableSpec, path: Path) -> int:
        """Write a relation as a table, in primary-key order and a batch at a time, and return its number of rows."""
        return tables.write_ordered(relation.order(", ".join(spec.primary_key)).to_arrow_reader(BATCH), spec, path)

    def _replace(self, name: str, relation: Relation) -> None:
        self._db.execute(f"DROP TABLE IF EXISTS {name}")
        relation.create(name)


def _text(value: Any) -> str:
    """A value as an SQL text literal."""
    return "'" + str(value).replace("'", "''") + "'"


def connect(files: Sequence[str], spill: str, *, threads: int = 1, memory_limit: str = "2GB") -> Connection:
    """A private database in memory whose SQL can read these Parquet files and nothing else, nor change that.

    It may still write to the files named: whoever lets strangers ask must look at what they ask (lib.ledger does).
    """
    made = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            "memory_limit": memory_limit,
            "temp_directory": spill,
            "preserve_insertion_order": False,
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    made.execute(f"SET allowed_paths = [{', '.join(map(_text, files))}]")
    made.execute("SET enable_external_access = false; SET lock_configuration = true")
    return made
