"""Rows in are rows out: each completion that a filter stage was given is a source of an example or new problem, or dropped, once.

So is each that a training sampled for itself, which filters inside and keeps the same tables.
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

_FATES = """
SELECT completion_id, count(*) FILTER (how = 'given') AS given, count(*) FILTER (how = 'used') AS used,
    count(*) FILTER (how = 'dropped') AS dropped
FROM (SELECT completion_id, 'given' AS how FROM all_completions
      UNION ALL SELECT DISTINCT completion_id, 'used' FROM ({sources}) WHERE part <> 'prompt'
      UNION ALL SELECT id, 'dropped' FROM ({dropped}) WHERE unit = 'completion')
GROUP BY completion_id
"""

_FAULTS = {
    "given = 0": ("no completion in examples or dropped that the stage was not given", "not given"),
    "given > 1": ("each completion given once", "given twice"),
    "given = 1 AND used = 0 AND dropped = 0": ("each completion in an example's sources or dropped", "in neither"),
    "used > 0 AND dropped > 0": ("each completion in an example's sources or dropped", "in both"),
    "dropped > 1": ("each completion dropped once", "dropped twice"),
}
"""What must not be → what is expected, and what is said of the completions that are so."""

_UNMATCHED = {
    "examples without sources": "SELECT example_id FROM ({examples}) ANTI JOIN ({sources}) USING (example_id)",
    "sources of examples that are not there": "SELECT DISTINCT example_id FROM ({sources}) ANTI JOIN ({examples}) USING (example_id)",
}


def check(reach: Reach, report: Report) -> None:
    """Look at every filter stage, and every training that did its work, whose tables are whole."""
    for _, made in [*reach.of_kind("filter"), *reach.online()]:
        contents = [made.digest] if made.ingredients["kind"] == "train" else made.ingredients["inputs"].get("completions", [])
        given = [path for content in contents for path in reach.files(content, "completions")]
        whole = made.digest not in reach.damaged and len(given) == len(contents)
        if not whole:
            report.notes.append(f"{reach.artifacts[made.digest]}: its rows were not counted, for a table that it read or made is damaged")
            continue
        _check_stage(made, given, reach, report)


def _check_stage(made: Publication, given: list[Path], reach: Reach, report: Report) -> None:
    folder, thing, remedy = reach.store.folder(made.digest), reach.artifacts[made.digest], reach.remedies[made.digest]
    examples = [
        f"SELECT example_id FROM read_parquet({text(path)})" for spec in EXAMPLES.values() for path in folder.glob(f"{spec.name}.parquet")
    ]
    born = sorted(folder.glob("shard-*/problems.parquet"))
    built = [*examples, *(f"SELECT problem_id AS example_id FROM read_parquet({text(path)})" for path in born)]
    if not (built and (folder / "example_sources.parquet").is_file() and (folder / "dropped.parquet").is_file()):
        report.add("conservation", thing, "examples, their sources and what was dropped", "not all of them", remedy)
        return
    out = {"sources": folder / "example_sources.parquet", "dropped": folder / "dropped.parquet"}
    files = {"completions": given, "out": sorted(folder.rglob("*.parquet"))}
    with tempfile.TemporaryDirectory() as spill, Rows(files, 0, Path(spill)) as rows:
        read = {name: f"SELECT * FROM read_parquet({text(path)})" for name, path in out.items()}
        read["examples"] = " UNION ALL ".join(built)
        rows.hold("fates", _FATES.format(**read))
        report.counts["completions"] += rows.count("SELECT count(*) FROM fates WHERE given > 0")
        report.counts["examples"] += rows.count(f"SELECT count(*) FROM ({read['examples']})")
        for fault, (expected, said) in _FAULTS.items():
            n, first = rows.sql(f"SELECT count(*), min(completion_id) FROM fates WHERE {fault}").fetchall()[0]
            if n:
                report.add("conservation", thing, expected, f"{n} {said} (the first: {first})", remedy)
        for what, query in _UNMATCHED.items():
            n, first = rows.sql(f"SELECT count(*), min(example_id) FROM ({query.format(**read)})").fetchall()[0]
            if n:
                report.add("conservation", thing, "each example with its sources", f"{n} {what} (the first: {first})", remedy)
