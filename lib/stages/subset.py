"""Some of the problems that a stage is given, drawn by the seed: which ones a controller's probes work at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib import records, seeds
from lib.protocols import Work
from lib.stages.problems import write_shards
from lib.stages.reading import table_of


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write shard-NN/problems.parquet with `settings["count"]` problems, or all where there are fewer.

    Each problem draws a number from the seed and its id, and the least are taken.
    """
    problems = table_of(work.inputs["problems"], records.PROBLEMS)
    draws = [seeds.digest([work.seed, name]) for name in problems["problem_id"].to_pylist()]
    taken = sorted(range(len(draws)), key=draws.__getitem__)[: work.settings["count"]]
    return {"shards": write_shards(problems.take(sorted(taken)), out)}
