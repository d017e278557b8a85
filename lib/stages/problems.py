"""Problems of one split, divided into shards by a prefix of the problem id so that a born problem disturbs one shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import records, tables
from lib.errors import BadProblems
from lib.protocols import Work
from lib.stages.reading import table_of
from lib.strategy import load

SHARD = 256
"""Problems of a shard, at most about twice this many."""


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write shard-NN/problems.parquet; raises BadProblems if the set has none for this split."""
    source = load(work.settings["source"])
    split = work.settings["split"]
    seen = frozenset(table_of(work.inputs.get("exclude", []), records.PROBLEMS)["problem_id"].to_pylist())
    problems = window_of(source, split, work.settings["count"], work.settings["window"], work.seed, seen)
    if not problems.num_rows:
        raise BadProblems(f"{type(source).__name__} has no problems for split '{split}'; choose another set or split")
    return {"shards": write_shards(problems, out)}


def write_shards(problems: pa.Table, out: Path) -> int:
    """Write shard-NNN/problems.parquet for each part of a table, and return how many there are."""
    shards = divide(problems)
    for index, shard in enumerate(shards):
        folder = out / f"shard-{index:03d}"
        folder.mkdir()
        tables.write(shard, records.PROBLEMS, folder / "problems.parquet")
    return len(shards)


def window_of(source: Any, split: str, count: int, window: int, seed: int, exclude: frozenset[str]) -> pa.Table:
    """Window w of a split: problems (w-1)·count to w·count in the order of the seed, going round where they run out.

    A source that cannot say how many it has (`available`) gives its first `count` in every window.
    """
    if not hasattr(source, "available"):
        return source.problems(split, count, seed, exclude)
    have = source.available(split, exclude)
    if have is None or window * count <= have:
        return source.problems(split, window * count, seed, exclude).slice((window - 1) * count)
    whole = source.problems(split, max(count, have), seed, exclude)  # too few for one window: the source says so
    return whole.take([((window - 1) * count + i) % have for i in range(count)])


def shards_at_most(count: int) -> int:
    """How many shards so many problems make; an empty bucket makes none."""
    return int(2 ** ((count // SHARD).bit_length() - 1)) if count > SHARD else 1


def divide(problems: pa.Table) -> list[pa.Table]:
    """The table in 2^b shards by the first b bits of the problem id; an empty bucket makes no shard."""
    bits = shards_at_most(problems.num_rows).bit_length() - 1
    buckets = [int(problem_id[:8], 16) >> (32 - bits) for problem_id in problems["problem_id"].to_pylist()]
    found = []
    for bucket in range(2**bits):
        rows = [row for row, its in enumerate(buckets) if its == bucket]
        if rows:
            found.append(problems.take(rows))
    return found
