"""The sample stage, one shard of it: problems (and what an earlier stage left) to completions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import contract, records, tables
from lib.casting import role_of
from lib.errors import BrokenConservation, UserError
from lib.protocols import Engine, NodeSampler, Sampler, Tables, Work
from lib.samplers.standing import Standing, account, standing
from lib.stages.engines import open_engines, reading
from lib.stages.reading import tables_of
from lib.strategy import load

log = logging.getLogger(__name__)


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write completions.parquet, and nodes.parquet where the sampler searches a tree. `tokens_sampled` counts what was really
    drawn, `tokens` what stands there in all.

    Raises UserError where a search's engine cannot continue a completion, BadModel where prompts or ends of answers would not
    be the same to training as to sampling (lib.contract), BrokenConservation if the sampler made another number of rows than it owes.
    """
    sampler = load(work.settings["sampler"])
    if isinstance(sampler, NodeSampler):
        _refuse_no_continuing(work, str(getattr(sampler, "role", "policy")))
    found = standing(work.earlier, work.settings, work.machine.device) if work.earlier else []
    given = tables_of(work)
    engines = open_engines(work.settings, work.models, work.machine)
    readers = {part: engine for part, engine in reading(work.settings, work.models).items() if isinstance(engines[part], Engine)}
    for part in readers:
        contract.check_prompts(work.models[part][1], engines[part], given.problems)
    owed = sampler.owes(given)
    nodes: pa.Table | None = None
    if isinstance(sampler, NodeSampler):
        completions, nodes = sampler.sample_nodes(given, engines, work.seed, work.machine.report)
    else:
        completions, found = _sampled(sampler, given, found, engines, work)
    if completions.num_rows != owed:
        raise BrokenConservation(f"{type(sampler).__name__} made {completions.num_rows} completions and owes {owed}")
    for part, engine in readers.items():
        if not getattr(engine, "stop", ()):  # a stop string ends a completion too
            contract.check_endings(work.models[part][1], getattr(sampler, "written_as", "") or role_of(part), completions)
    tables.write(completions, records.COMPLETIONS, out / "completions.parquet")
    lengths = [len(ids) for ids in completions["completion_ids"].to_pylist()]
    finishes = completions["finish_reason"].to_pylist()
    drawn: dict[str, Any] = account(completions, found) if found else {"tokens_sampled": sum(lengths)}
    if nodes is not None:
        _refuse_other_nodes(completions, nodes, sampler)
        tables.write(nodes, records.NODES, out / "nodes.parquet")
        drawn["tokens_sampled"] -= _continued(nodes, finishes)
    return {"tokens": sum(lengths), **drawn, "truncated": finishes.count("length"), "errors": finishes.count("error")}


Drawn = tuple[pa.Table, list[Standing]]
"""Completions, and what of them stood before."""


def _sampled(sampler: Sampler, given: Tables, found: list[Standing], engines: Mapping[str, Engine], work: Work) -> Drawn:
    """Completions of which only those that do not stand were drawn, where that can be done by itself."""
    try:
        return sampler.sample(_with_earlier(given, found), engines, work.seed, work.machine.report), found
    except UserError as error:
        if not found:
            raise
        log.warning("what is missing could not be drawn by itself, so everything is drawn anew: %s", error)
        return sampler.sample(given, engines, work.seed, work.machine.report), []


def _with_earlier(given: Tables, found: Sequence[Standing]) -> Tables:
    if not found:
        return given
    earlier, begun = (pa.concat_tables(parts) for parts in zip(*((one.rows, one.begun) for one in found), strict=True))
    return replace(given, earlier=earlier, begun=begun)


def _refuse_no_continuing(work: Work, role: str) -> None:
    engine = load(work.settings.get("engines", {}).get(role, work.settings.get("engine")))
    if not getattr(engine, "continues", False):
        name = type(engine).__name__
        raise UserError(f"a tree continues what was drawn, and the engine {name} of role '{role}' cannot; give it Huggingface()")


def _refuse_other_nodes(completions: pa.Table, nodes: pa.Table, sampler: NodeSampler) -> None:
    if nodes["completion_id"].to_pylist() != completions["completion_id"].to_pylist():
        raise BrokenConservation(f"{type(sampler).__name__} made {nodes.num_rows} nodes that are not those of its completions, in order")


def _continued(nodes: pa.Table, finishes: Sequence[str]) -> int:
    """Tokens of a tree's completions that were there before they were drawn: those of each one's parent."""
    rows = nodes.select(["completion_id", "parent", "tokens"]).to_pylist()
    tokens = {row["completion_id"]: row["tokens"] for row in rows} | {None: 0}
    return sum(tokens[row["parent"]] for row, finish in zip(rows, finishes, strict=True) if finish != "error")
