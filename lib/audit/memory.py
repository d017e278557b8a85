"""Every training that was told how many examples stay evicted some of those that it was given, and just as many as that takes.

What was given or evicted and then forgotten is counted no more, so of such a training it is known only that no more stayed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from lib.audit.reach import Reach
from lib.audit.report import Report
from lib.db import Rows
from lib.ledger import text
from lib.records import EXAMPLES
from lib.store import Publication

_NOT_GIVEN = "SELECT count(*), min(example_id) FROM ({evicted}) ANTI JOIN ({given}) USING (place, example_id)"


def check(reach: Reach, report: Report) -> None:
    """Look at every such training whose tables are whole."""
    for _, made in reach.of_kind("train"):
        if "keep" not in made.ingredients["settings"] or made.digest in reach.damaged:
            continue
        contents = made.ingredients["inputs"].get("examples", [])
        given = [(place, path) for place, one in enumerate(contents) for spec in EXAMPLES.values() for path in reach.files(one, spec.name)]
        if {place for place, _ in given} == {*range(len(contents))}:
            _check_training(made, given, reach, report)
        else:
            report.notes.append(f"{reach.artifacts[made.digest]}: what it evicted was not counted, for a table that it read is damaged")


def _check_training(made: Publication, given: list[tuple[int, Path]], reach: Reach, report: Report) -> None:
    thing, remedy = reach.artifacts[made.digest], reach.remedies[made.digest]
    gone = reach.files(made.digest, "evicted")
    is_less = any(reach.store.now(one) != one for one in made.ingredients["inputs"].get("examples", []))
    none = "SELECT CAST(0 AS INTEGER) AS place, '' AS example_id WHERE false"
    read = {
        "given": " UNION ALL ".join([none, *(f"SELECT {n} AS place, example_id FROM read_parquet({text(path)})" for n, path in given)]),
        "evicted": " UNION ALL ".join([none, *(f"SELECT place, example_id FROM read_parquet({text(path)})" for path in gone)]),
    }
    with tempfile.TemporaryDirectory() as spill, Rows({"out": [*gone, *(path for _, path in given)]}, 0, Path(spill)) as rows:
        n, first = rows.sql(_NOT_GIVEN.format(**read)).fetchall()[0]
        total = rows.count(f"SELECT count(*) FROM ({read['given']})")
        left = rows.count(f"SELECT count(*) FROM ({read['given']}) ANTI JOIN ({read['evicted']}) USING (place, example_id)")
    owed = min(total, made.ingredients["settings"]["keep"]["rows"])
    if n and not is_less:
        report.add("memory", thing, "nothing evicted that it was not given", f"{n} examples (the first: {first})", remedy)
    if left > owed or (left < owed and not is_less):
        report.add("memory", thing, f"{owed} of {total} examples to stay", f"{left}, as evicted.parquet has it", remedy)
