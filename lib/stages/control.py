"""The control stage: a controller decides, from what its probes and the round before left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import deciding, records, tables
from lib.deciding import Decided, Seen
from lib.errors import UserError
from lib.protocols import Tables, Work
from lib.records import TABLES
from lib.stages.problems import write_shards
from lib.stages.reading import table_of
from lib.strategy import load


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write state.parquet and, where the controller chose problems, shard-NN/problems.parquet.

    Inputs: `problems`, `state` (of the round before), `probed` (the problems of every probe), `completions.N` and
    `verdicts.N` of probe N, and `TABLE of PHASE/NAME` of the round before. Returns every figure that was decided.
    """
    settings = work.settings
    seen = Seen(
        problems=table_of(work.inputs.get("problems", []), records.PROBLEMS),
        probes=tuple(_probe(work, number) for number in range(settings["probes"])),
        before=_before(work),
        state=deciding.state_of(table_of(work.inputs.get("state", []), records.STATE)),
        round=settings["round"],
        rounds=settings["rounds"],
        seed=work.seed,
    )
    decided: Decided = load(settings["controller"]).decide(seen)
    tables.write(deciding.rows_of(settings["name"], decided), records.STATE, out / "state.parquet")
    figures = {**decided.settings, **decided.state}
    told = {name: value for name, value in figures.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    if decided.problems is None:
        return told
    chosen = _chosen(seen.problems, decided, settings["name"])
    write_shards(chosen, out)
    return {**told, "chosen": chosen.num_rows}


def _probe(work: Work, number: int) -> Tables:
    return Tables(
        problems=table_of(work.inputs.get("probed", []), records.PROBLEMS),
        completions=table_of(work.inputs.get(f"completions.{number}", []), records.COMPLETIONS),
        verdicts=table_of(work.inputs.get(f"verdicts.{number}", []), records.VERDICTS),
    )


def _before(work: Work) -> dict[str, dict[str, pa.Table]]:
    found: dict[str, dict[str, pa.Table]] = {}
    for name, folders in work.inputs.items():
        table, of, path = name.partition(" of ")
        if of:
            found.setdefault(path, {})[table] = table_of(folders, TABLES[table])
    return found


def _chosen(problems: pa.Table, decided: Decided, name: str) -> pa.Table:
    """The rows that were chosen. Raises UserError for a choice of none, of one twice, or of what was not there."""
    known = {problem_id: row for row, problem_id in enumerate(problems["problem_id"].to_pylist())}
    ids = list(decided.problems or ())
    unknown = [problem_id for problem_id in ids if problem_id not in known]
    if not ids or unknown or len(set(ids)) < len(ids):
        wrong = f"'{unknown[0]}', which is none of them" if unknown else "one of them twice" if ids else "none of them"
        raise UserError(f"controller '{name}' was given {len(known)} problems and chose {wrong}; let it choose some of these, each once")
    return problems.take([known[problem_id] for problem_id in ids])
