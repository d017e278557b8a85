"""The sample stage, one shard of it: problems (and what an earlier stage left) to completions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib import records, tables
from lib.errors import BrokenConservation
from lib.protocols import Work
from lib.stages.engines import open_engines
from lib.stages.reading import tables_of
from lib.strategy import load


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write completions.parquet; raises BrokenConservation if the sampler made another number of rows than it owes."""
    sampler = load(work.settings["sampler"])
    given = tables_of(work)
    engines = open_engines(work.settings["engine"], work.models, work.machine)
    owed = sampler.owes(given)
    completions = sampler.sample(given, engines, work.seed, work.machine.report)
    if completions.num_rows != owed:
        raise BrokenConservation(f"{type(sampler).__name__} made {completions.num_rows} completions and owes {owed}")
    tables.write(completions, records.COMPLETIONS, out / "completions.parquet")
    lengths = [len(ids) for ids in completions["completion_ids"].to_pylist()]
    finishes = completions["finish_reason"].to_pylist()
    return {
        "tokens_sampled": sum(lengths),
        "truncated": finishes.count("length"),
        "errors": finishes.count("error"),
    }
