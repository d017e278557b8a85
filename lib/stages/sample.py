"""The sample stage, one shard of it: problems (and what an earlier stage left) to completions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import contract, records, tables
from lib.casting import role_of
from lib.errors import BrokenConservation, UserError
from lib.protocols import Tables, Work
from lib.samplers.standing import Standing, account, standing
from lib.stages.engines import open_engines, reading
from lib.stages.reading import tables_of
from lib.strategy import load

log = logging.getLogger(__name__)


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write completions.parquet. `tokens_sampled` counts what was really drawn, `tokens` what stands there in all.

    Raises BadModel where prompts or ends of answers would not be the same to training as to sampling (lib.contract),
    BrokenConservation if the sampler made another number of rows than it owes.
    """
    sampler = load(work.settings["sampler"])
    found = standing(work.earlier, work.settings, work.machine.device) if work.earlier else []
    given = tables_of(work)
    engines = open_engines(work.settings, work.models, work.machine)
    readers = reading(work.settings, work.models)
    for part in readers:
        contract.check_prompts(work.models[part][1], engines[part], given.problems)
    owed = sampler.owes(given)
    try:
        completions = sampler.sample(_with_earlier(given, found), engines, work.seed, work.machine.report)
    except UserError as error:
        if not found:
            raise
        log.warning("what is missing could not be drawn by itself, so everything is drawn anew: %s", error)
        found = []
        completions = sampler.sample(given, engines, work.seed, work.machine.report)
    if completions.num_rows != owed:
        raise BrokenConservation(f"{type(sampler).__name__} made {completions.num_rows} completions and owes {owed}")
    for part, engine in readers.items():
        if not getattr(engine, "stop", ()):  # a stop string ends a completion too
            contract.check_endings(work.models[part][1], role_of(part), completions)
    tables.write(completions, records.COMPLETIONS, out / "completions.parquet")
    lengths = [len(ids) for ids in completions["completion_ids"].to_pylist()]
    finishes = completions["finish_reason"].to_pylist()
    return {
        "tokens": sum(lengths),
        **(account(completions, found) if found else {"tokens_sampled": sum(lengths)}),
        "truncated": finishes.count("length"),
        "errors": finishes.count("error"),
    }


def _with_earlier(given: Tables, found: Sequence[Standing]) -> Tables:
    if not found:
        return given
    earlier, begun = (pa.concat_tables(parts) for parts in zip(*((one.rows, one.begun) for one in found), strict=True))
    return replace(given, earlier=earlier, begun=begun)
