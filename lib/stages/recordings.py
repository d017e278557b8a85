"""Recorded completions read once: problems, completions and labels in shards, as sampling would have left them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib import records, tables
from lib.errors import BadProblems
from lib.files import write_json
from lib.protocols import Work
from lib.recordings.layouts import clean
from lib.recordings.recordings import Found
from lib.strategy import load

SHARD = 512
"""Completions of a shard, roughly."""
MOST_BITS = 6
"""A file makes at most 2 to the power of this many shards."""

NOTES = "notes.json"
"""What the file of an artifact is called that names the rows left out, and counts those judged by tests of their own."""


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write shard-NNN/{problems,completions,verdicts}.parquet, the verdicts being the labels, and notes.json.

    Raises BadProblems if no completion can be used.
    """
    source = work.settings["source"]
    found = load(work.settings["recordings"]).found(load(source).every() if source is not None else None)
    if not found.completions:
        first = f"; the first: {found.faults[0]}" if found.faults else ""
        raise BadProblems(f"{work.settings['recordings']['path']} has no completion of a known problem{first}")
    for number, shard in enumerate(_divided(found)):
        folder = out / f"shard-{number:03d}"
        folder.mkdir()
        for spec, rows in ((records.PROBLEMS, shard.problems), (records.COMPLETIONS, shard.completions), (records.VERDICTS, shard.labels)):
            tables.write(spec.table(rows), spec, folder / f"{spec.name}.parquet")
    write_json(out / NOTES, {"faults": [[clean(part) for part in fault] for fault in found.faults], "by_own_tests": found.by_own_tests})
    return {"completions": len(found.completions), "problems": len(found.problems), "faults": len(found.faults)}


def _divided(found: Found) -> list[Found]:
    """The rows by the first bits of their problem's id; an empty bucket makes no shard."""
    bits = min(MOST_BITS, max(0, (len(found.completions) - 1) // SHARD).bit_length())
    shards: dict[int, Found] = {}
    for problem in found.problems:
        shards.setdefault(_bucket(problem["problem_id"], bits), Found()).problems.append(problem)
    bucket_of: dict[str, int] = {}
    for completion in found.completions:
        bucket = _bucket(completion["problem_id"], bits)
        bucket_of[completion["completion_id"]] = bucket
        shards[bucket].completions.append(completion)
    for label in found.labels:
        shards[bucket_of[label["completion_id"]]].labels.append(label)
    return [shards[bucket] for bucket in sorted(shards)]


def _bucket(problem_id: str, bits: int) -> int:
    return int(problem_id[:8], 16) >> (32 - bits)
