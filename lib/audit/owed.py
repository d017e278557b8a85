"""Every sample and verify job made as many rows as its strategies owe for what they were given.

Counted with the very code that made them: a job whose strategies changed since is left out, and said to be.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow.parquet as pq
from pydantic import ValidationError

from lib import keys, tables
from lib.audit.reach import Reach
from lib.audit.report import Report
from lib.errors import RoundhouseError
from lib.protocols import Tables
from lib.rivals import together
from lib.stages.reading import INPUTS
from lib.store import Publication
from lib.strategy import load

MADE = {"sample": "completions", "verify": "verdicts"}


def check(reach: Reach, report: Report) -> None:
    """Count the rows of every job whose tables are whole; a shard is in memory at a time."""
    left_out: Counter[str] = Counter()
    known: dict[tuple[str, ...], dict[str, str]] = {}
    for kind, table in MADE.items():
        for _, made in reach.of_kind(kind):
            modules = tuple(sorted(set(keys.strategy_modules(made.ingredients["settings"])))) or (f"lib.stages.{kind}",)
            if (given := _given(made, reach)) is None:
                left_out[f"what the {kind} job read or made is damaged"] += 1
            elif not is_code_as_it_was(modules, made, known):
                left_out[f"the code of the {kind} job's strategies changed since"] += 1
            elif (owed := _owed(kind, made.ingredients["settings"], given)) is None:
                left_out["what its strategy read lies outside the store"] += 1
            else:
                report.counts["rows_owed"] += 1
                there = sum(pq.read_metadata(path).num_rows for path in reach.files(made.digest, table))
                if there != owed:
                    report.add("owed", reach.artifacts[made.digest], f"{owed} {table}", there, reach.remedies[made.digest])
    report.notes += [f"the rows of {n} jobs were not counted: {why}" for why, n in sorted(left_out.items())]


def _given(made: Publication, reach: Reach) -> Tables | None:
    """The tables that a job read; None where one is damaged or gone."""
    if made.digest in reach.damaged:
        return None
    found: dict[str, Any] = {}
    for name, spec in INPUTS.items():
        contents = made.ingredients["inputs"].get(name, [])
        paths = [path for content in contents for path in reach.files(content, spec.name)]
        if len(paths) != len(contents):
            return None
        found[name] = tables.read(paths, spec)
    return Tables(**found | {"completions": together(found["completions"], found["rivals"])})


def is_code_as_it_was(modules: tuple[str, ...], made: Publication, known: dict[tuple[str, ...], dict[str, str]]) -> bool:
    """Whether a job's modules are what they were when it was made; `known` keeps what was looked up."""
    if modules not in known:
        try:
            known[modules] = keys.closure(modules)[0]
        except RoundhouseError:  # a module that is gone
            known[modules] = {"": ""}
    then = made.ingredients["code"]
    return all(then.get(module) == sha for module, sha in known[modules].items())


def _owed(kind: str, settings: dict[str, Any], given: Tables) -> int | None:
    try:
        if kind == "sample":
            return int(load(settings["sampler"]).owes(given))
        return sum(int(load(verifier).owes(given)) for verifier in settings["verifiers"])
    except (RoundhouseError, ValidationError, OSError):  # settings of a strategy that reads a file of the user's
        return None
