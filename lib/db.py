"""The only module that imports duckdb: relations over the tables that a filter stage reads.

Filters and builders write SQL over these names:

    problems, held_out             records.PROBLEMS; the problems completed, and those of the held-out splits
    completions, all_completions   records.COMPLETIONS; those that still stand, and all that the stage was given
    verdicts                       records.VERDICTS
    token_scores, nodes            records.TOKEN_SCORES and NODES, where the stages that are read left some
    dropped                        (completion_id, filter, reason) so far
    judged(verifier)               (completion_id, outcome, score), one row per standing completion; see below
    said(verifier)                 the same for every completion with a verdict, those that fell too
    pass_rates(verifier)           (problem_id, decided, pass_rate) over all completions given; see below
    draw(id)                       a text whose order is random, and a function of the stage's seed and the id alone
    plain(text)                    a text in small letters and Unicode's composed form, one space between words and marks
    words(text)                    its words: small letters, punctuation taken out, cut at white space
    sequence(prompt, completion)   token ids of a training row
    labels(prompt, completion, mask)   its labels: IGNORED over the prompt and wherever the mask (or null) is 0

`judged(NULL)` reads every verifier with an outcome, `judged('countdown')` one, which may be a scorer. It counts verdicts on
the whole completion only (no step, no rival). Its outcome is `undecided` if any of them is, else `correct` if all are, else
`wrong`; `scored` where a scorer was named and gave a score, and `no verdict` where there is none; its score is their mean,
a missing score counting 1 if correct and 0 if not. `pass_rates` gives a problem's share of `correct` among its `correct` and
`wrong` completions, a score in [0, 1] standing for both where a scorer is named; problems with none are not in it.

Tables live in memory up to a limit and then spill to disk, results leave in batches, so the number of rows is bounded
by the disk. SQL reaches the files given and the spill folder, nothing else, and cannot change this;
it is the recipe's own code, though, and could still overwrite the files given (COPY inside WITH passes DuckDB's lock).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from lib import tables
from lib.errors import BrokenConservation, UnknownName, UserError
from lib.macros import SCHEMA
from lib.predicates import refuse_unsafe
from lib.records import COMPLETIONS, NODES, PROBLEMS, TOKEN_SCORES, VERDICTS, TableSpec

Relation = duckdb.DuckDBPyRelation
Connection = duckdb.DuckDBPyConnection
Error = duckdb.Error

BATCH = 16_384
"""Rows of an Arrow record batch."""

_SOURCES = {
    "problems": PROBLEMS,
    "held_out": PROBLEMS,
    "all_completions": COMPLETIONS,
    "verdicts": VERDICTS,
    "token_scores": TOKEN_SCORES,
    "nodes": NODES,
}


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
        round_number: int = 0,
        threads: int = 1,
        memory_limit: str = "3GB",
    ) -> None:
        """Open `files["problems"]`, `["completions"]`, `["verdicts"]`, `["token_scores"]`, `["nodes"]` and `["held_out"]`; one
        that is missing is empty.

        Raises SchemaMismatch if a file holds another table or version.
        """
        self.seed = seed
        self.round = round_number
        """The round that it is, told to builders of problems alone."""
        self.notes: dict[str, Any] = {}
        """What filters have to report beside their reasons; the stage gives it with its counts."""
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
        self._db.execute(SCHEMA)
        self._db.execute(f"CREATE MACRO draw(id) AS md5('{int(seed)}:' || id)")
        allowed = [_text(path) for group in files.values() for path in group]
        self._db.execute(f"SET allowed_paths = [{', '.join(allowed)}]")
        self._db.execute("SET enable_external_access = false; SET lock_configuration = true")
        self._lasting = set(self._tables())

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
        """Run a query now and keep its rows as table `name`, for queries that share them. It may spill, and may read what it replaces."""
        self._replace(name, self.sql(query, **parameters))

    def hold_relation(self, name: str, relation: Relation) -> None:
        """Run a relation now and keep its rows as table `name`."""
        self._replace(name, relation)

    def hold_table(self, name: str, table: pa.Table) -> None:
        """Keep an Arrow table as table `name`."""
        self._replace(name, self._db.from_arrow(table))

    def hold_predicate(self, name: str, view: str, predicate: str, **parameters: object) -> None:
        """Keep as `name` (completion_id, holds): what one boolean expression over a view's columns says, which may be null.

        Raises UserError for text that is anything else, holds a query, names an unknown column, cannot be computed, or calls
        a function that does not give the same each time.
        """
        columns = self.sql(view, **parameters).columns
        refuse_unsafe(lambda query, named: self._db.execute(query, named).fetchall(), predicate)
        try:
            self.hold(name, f"SELECT completion_id, ({predicate})::BOOLEAN AS holds FROM ({view})", **parameters)
        except Error as error:
            said = str(error).partition("\n")[0]
            raise UserError(f"predicate {predicate!r}: {said}; columns are {', '.join(columns)}") from None

    def hold_made(self, name: str, query: str, make: Callable[[pa.RecordBatch], pa.Table], **parameters: object) -> None:
        """Keep as table `name` what a Python function makes of a query's rows, in their order, a batch at a time.

        For what SQL cannot say. One batch is in Python at a time, so memory stays flat; it is slower than SQL.
        """
        self._db.execute(f"DROP TABLE IF EXISTS {name}")
        made = False
        with self._db.cursor() as reading:
            rows = reading.sql(query, params=parameters or None)
            for batch in rows.to_arrow_reader(BATCH):
                table = self._db.from_arrow(make(batch))
                if made:
                    table.insert_into(name)
                else:
                    table.create(name)
                made = True
            if not made:
                nothing = pa.RecordBatch.from_pylist([], schema=rows.limit(0).to_arrow_table().schema)
                self._db.from_arrow(make(nothing)).create(name)

    def each(self, query: str, reason: Callable[..., str | None], **parameters: object) -> Relation:
        """(completion_id, reason) by a Python function of the query's columns after the first, which is completion_id."""

        def judge(batch: pa.RecordBatch) -> pa.Table:
            ids, *columns = batch.columns
            cells = zip(*(column.to_pylist() for column in columns), strict=True)
            return pa.table({"completion_id": ids, "reason": pa.array([reason(*row) for row in cells], pa.string())})

        name = f"_each_{next(self._numbers)}"
        self.hold_made(name, query, judge, **parameters)
        return self.sql(f"SELECT * FROM {name}")

    def known_verifier(self, name: str | None) -> str | None:
        """The name as it was given; raises UnknownName if there are verdicts and none by that verifier."""
        known = [row[0] for row in self.sql("SELECT DISTINCT verifier FROM verdicts").fetchall()] if name else []
        if known and name not in known:
            raise UnknownName("verifier", str(name), known, "among the verdicts")
        return name

    def narrow(self, said: Relation, by: str) -> None:
        """Drop from `completions` what a filter's relation (completion_id, reason) gives a reason for.

        What the filter held is let go. Raises UserError for other columns and BrokenConservation unless each standing
        completion is named exactly once.
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
        for name in sorted(set(self._tables()) - self._lasting):
            self._db.execute(f'DROP TABLE "{name}"')

    def drop(self, said: Relation, by: str) -> None:
        """Drop the completions of a relation (completion_id, reason), under the name of who dropped them."""
        self._replace("_drops", said)
        self._db.execute("INSERT INTO dropped SELECT completion_id, $by, reason FROM _drops", {"by": by})

    def write(self, relation: Relation, spec: TableSpec, path: Path) -> int:
        """Write a relation as a table, in primary-key order and a batch at a time, and return its number of rows."""
        return tables.write_ordered(relation.order(", ".join(spec.primary_key)).to_arrow_reader(BATCH), spec, path)

    def _tables(self) -> list[str]:
        return [row[0] for row in self.sql("SELECT table_name FROM duckdb_tables()").fetchall()]

    def _replace(self, name: str, relation: Relation) -> None:
        relation.create("_new")  # aside, since the relation may read the table that it replaces
        self._db.execute(f"DROP TABLE IF EXISTS {name}")
        self._db.execute(f"ALTER TABLE _new RENAME TO {name}")


def _text(value: Any) -> str:
    """A value as an SQL text literal."""
    return "'" + str(value).replace("'", "''") + "'"


def connect(files: Sequence[str], spill: str, *, folders: Sequence[str] = (), threads: int = 1, memory_limit: str = "2GB") -> Connection:
    """A private database in memory whose SQL can read these Parquet files (and folders) and nothing else, nor change that.

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
    made.execute(f"SET allowed_directories = [{', '.join(map(_text, folders))}]")
    made.execute("SET enable_progress_bar = false")  # it would stand among the answers on standard output
    made.execute("SET enable_external_access = false; SET lock_configuration = true")
    return made


@contextmanager
def asking() -> Iterator[None]:
    """Raises KeyboardInterrupt where a Ctrl-C ended what is asked in this block; DuckDB (2.0.0, seen) makes errors of its own of it."""
    try:
        yield
    except (RuntimeError, duckdb.InvalidInputException) as error:
        if "Query interrupted" in str(error) or str(error).rstrip().endswith("KeyboardInterrupt:"):
            raise KeyboardInterrupt from None
        raise
