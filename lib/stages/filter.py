"""The filter stage: from completions and verdicts to examples, or to new problems, with a reason for whatever is left out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from lib import records, tables
from lib.db import Rows
from lib.errors import BadProblems, BrokenConservation, UserError
from lib.filters.sft_rows import SftRows
from lib.protocols import Builder, Built, Filter, Work
from lib.stages.problems import write_shards
from lib.strategy import Strategy, load

PROBLEMS = "problems"
"""What a builder makes whose examples are problems."""

_FILES = {
    **{name: name for name in ("problems", "completions", "verdicts", "token_scores", "nodes")},
    "held_out": "problems",
}
"""Name of an input → name of the table in its folders."""

_UNUSABLE = """
SELECT completion_id, CASE WHEN finish_reason = 'error' THEN 'error'
    WHEN coalesce(list_sum(loss_mask), len(completion_ids)) = 0 THEN 'no token to learn' END AS reason
FROM completions
"""


def run(work: Work, out: Path) -> dict[str, Any]:
    """Apply `settings["filters"]` in order; the last makes the examples (SftRows if none does).

    Reads the inputs problems, completions, verdicts, token_scores, nodes and held_out; writes examples_KIND, example_sources and dropped.
    A builder of problems is told `settings["round"]`, and what it makes is written in shards, shard-NNN/problems.parquet.
    Before any filter, errored completions and those without a token that carries loss are dropped by "Stage". Raises
    UserError if completions stand whose tokens were made from text and the builder was not told to allow them, BadProblems if
    no completion becomes a problem.
    Returns counts: completions, kept (in some example), examples, dropped by reason, and what filters noted.
    """
    filters, builder = _members(work.settings["filters"])
    files = {name: [folder / f"{table}.parquet" for folder in work.inputs.get(name, [])] for name, table in _FILES.items()}
    steps = len(filters) + 2
    with tempfile.TemporaryDirectory(dir=out, prefix=".spill-") as spill, _rows(work, files, Path(spill)) as rows:
        _refuse_repeats(rows)
        rows.narrow(rows.sql(_UNUSABLE), "Stage")
        work.machine.report(1, steps)
        for done, member in enumerate(filters, start=2):
            rows.narrow(member.filter(rows), type(member).__name__)
            work.machine.report(done, steps)
        _refuse_retokenised(rows, builder)
        examples = _write(rows, builder.build(rows), builder, out)
        work.machine.report(steps, steps)
        return _stats(rows, examples)


def _rows(work: Work, files: dict[str, list[Path]], spill: Path) -> Rows:
    return Rows(files, work.seed, spill, round_number=work.settings.get("round", 0))


def _members(settings: list[Any]) -> tuple[list[Filter], Builder]:
    members: list[Strategy] = [load(value) for value in settings]
    builder: Any = members.pop() if members and isinstance(members[-1], Builder) else SftRows()
    filters: list[Filter] = []
    for member in members:
        if isinstance(member, Builder):
            raise UserError(f"filters: {type(member).__name__} makes examples, so it must be the last and the only one that does")
        if not isinstance(member, Filter):
            raise UserError(f"filters: {type(member).__name__} has neither a method 'filter' nor 'build'")
        filters.append(member)
    return filters, builder


def _refuse_repeats(rows: Rows) -> None:
    total, distinct = (rows.count(f"SELECT count({what}) FROM all_completions") for what in ("*", "DISTINCT completion_id"))
    if total != distinct:
        raise BrokenConservation(f"filter was given {total} completions with {distinct} ids; is an artifact listed twice?")


def _refuse_retokenised(rows: Rows, builder: Builder) -> None:
    """Text that was sampled and then turned into tokens anew may not be the tokens sampled: learnt only if allowed by name.

    A worked solution (role `reference`) was never sampled.
    """
    if getattr(builder, "allow_retokenised", False) or builder.makes == PROBLEMS:
        return
    found = rows.count("SELECT count(*) FROM completions WHERE ids_source <> 'engine' AND role <> 'reference'")
    if found:
        name = type(builder).__name__
        if "allow_retokenised" not in getattr(type(builder), "model_fields", {}):
            raise UserError(f"filters: {found} completions have no token ids of their own, and {name} needs them; end in SftRows instead")
        raise UserError(
            f"filters: the tokens of {found} completions were made from their text, not sampled; "
            f"to learn from them all the same, end the filters in {name}(allow_retokenised=True)"
        )


def _write(rows: Rows, built: Built, builder: Builder, out: Path) -> int:
    if builder.makes == PROBLEMS:
        examples = _write_problems(built, out)
    else:
        spec = records.EXAMPLES[builder.makes]
        examples = rows.write(built.examples, spec, out / f"{spec.name}.parquet")
    built.sources.create("_sources")
    rows.drop(built.dropped, type(builder).__name__)
    _check_conservation(rows, examples, type(builder).__name__)
    rows.write(rows.sql("SELECT * FROM _sources"), records.EXAMPLE_SOURCES, out / "example_sources.parquet")
    dropped = rows.sql("SELECT 'completion' AS unit, completion_id AS id, filter, reason FROM dropped")
    rows.write(dropped, records.DROPPED, out / "dropped.parquet")
    return examples


def _write_problems(built: Built, out: Path) -> int:
    made = tables.conform(built.examples.order("problem_id").to_arrow_table(), records.PROBLEMS)
    if not made.num_rows:
        raise BadProblems("no proposal became a problem; let the model that proposes learn first what a problem looks like")
    write_shards(made, out)
    return made.num_rows


def _check_conservation(rows: Rows, examples: int, builder: str) -> None:
    """Each completion is used by some example (its prompt alone does not count) or dropped, exactly once."""
    rows.hold("_used", "SELECT DISTINCT completion_id FROM _sources WHERE part <> 'prompt'")
    given = rows.count("SELECT count(*) FROM all_completions")
    used = rows.count("SELECT count(*) FROM _used")
    dropped = rows.count("SELECT count(*) FROM dropped")
    settled = rows.count(
        """SELECT count(DISTINCT completion_id) FROM (SELECT completion_id FROM _used UNION ALL SELECT completion_id FROM dropped)
        SEMI JOIN all_completions USING (completion_id)"""
    )
    if not given == used + dropped == settled:
        raise BrokenConservation(f"{builder}: of {given} completions {used} are in examples and {dropped} dropped, which settles {settled}")
    sourced = rows.count("SELECT count(DISTINCT example_id) FROM _sources")
    if sourced != examples:
        raise BrokenConservation(f"{builder}: {examples} examples, but sources name {sourced}")


def _stats(rows: Rows, examples: int) -> dict[str, Any]:
    given = rows.count("SELECT count(*) FROM all_completions")
    reasons = rows.sql("SELECT reason, count(*) FROM dropped GROUP BY reason ORDER BY reason").fetchall()
    dropped = {str(reason): int(n) for reason, n in reasons}
    return {"completions": given, "kept": given - sum(dropped.values()), "examples": examples, "dropped": dropped, **rows.notes}
