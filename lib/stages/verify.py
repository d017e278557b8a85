"""The verify stage, one shard of it: completions to verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib import records, tables
from lib.errors import BrokenConservation
from lib.protocols import Engine, Tables, Verifier, Work
from lib.stages.engines import open_engines
from lib.stages.reading import tables_of
from lib.strategy import load


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write verdicts.parquet; an undecided verdict gets one more try before it stands.

    Raises BrokenConservation if a verifier made another number of verdicts than it owes.
    """
    given = tables_of(work)
    engines = open_engines(work.settings.get("engine", {}), work.models, work.machine)
    verifiers = [load(settings) for settings in work.settings["verifiers"]]
    made = []
    for done, verifier in enumerate(verifiers):
        work.machine.report(done, len(verifiers))
        made.append(_second_try(verifier, given, _judged(verifier, given, engines), engines))
    verdicts = pa.concat_tables(made) if made else records.VERDICTS.empty()
    tables.write(verdicts, records.VERDICTS, out / "verdicts.parquet")
    outcomes = Counter(str(outcome) for outcome in verdicts["outcome"].to_pylist() if outcome)
    return {"outcomes": dict(sorted(outcomes.items()))}


def _judged(verifier: Verifier, given: Tables, engines: Mapping[str, Engine]) -> pa.Table:
    verdicts = tables.conform(verifier.verify(given, engines), records.VERDICTS)
    owed = verifier.owes(given)
    if verdicts.num_rows != owed:
        raise BrokenConservation(f"{type(verifier).__name__} made {verdicts.num_rows} verdicts and owes {owed}")
    return verdicts


def _second_try(verifier: Verifier, given: Tables, first: pa.Table, engines: Mapping[str, Engine]) -> pa.Table:
    undecided = first.filter(pc.equal(first["outcome"], "undecided"))["completion_id"]
    if not len(undecided):
        return first
    again = pc.is_in(given.completions["completion_id"], undecided.combine_chunks())
    part = Tables(given.problems, given.completions.filter(again), given.verdicts)
    second = _judged(verifier, part, engines)
    kept = first.filter(pc.invert(pc.is_in(first["completion_id"], undecided.combine_chunks())))
    return pa.concat_tables([kept, second])
