"""Every iteration of a training that sampled for itself made as many completions and verdicts as its strategies owe.

A completion says by which model it was drawn, `DIGEST` in the first iteration and `DIGEST+n` after n of them; which problems an
iteration had follows from the seed. As of other jobs, rows are counted with the very code that made them. Left out, and said
to be: a training whose sampler asks other models too, for what these wrote does not say in which iteration; and one that lost
a problem or completion since, to be forgotten, for the order of the problems is no longer known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from lib import keys, records, tables
from lib.audit.owed import is_code_as_it_was
from lib.audit.reach import Reach
from lib.audit.report import Report
from lib.casting import Part, parts
from lib.errors import RoundhouseError
from lib.protocols import Sampler, Tables, Verifier
from lib.stages.iterations import in_order_of, problems_of
from lib.store import Publication
from lib.strategy import Strategy, load


@dataclass(frozen=True, slots=True)
class _Training:
    """What a training drew and judged, and the strategies that owe it."""

    sampler: Sampler
    verifiers: list[Verifier]
    problems: pa.Table
    """In the order in which it met them."""
    each: int
    """Problems of an iteration."""
    completions: pa.Table
    numbers: list[int]
    """Of every completion, in which iteration it was drawn."""
    judged: pa.ChunkedArray
    """The completion of every verdict."""
    iterations: int


def check(reach: Reach, report: Report) -> None:
    """Count the rows of every such training whose tables are whole; those of one training are in memory at a time."""
    left_out: Counter[str] = Counter()
    known: dict[tuple[str, ...], dict[str, str]] = {}
    for _, made in reach.online():
        settings = made.ingredients["settings"]
        if not is_code_as_it_was(tuple(sorted({*keys.strategy_modules(settings)})), made, known):
            left_out["the code of its strategies changed since"] += 1
        elif _is_rewritten(made, reach):
            left_out["something of it was forgotten"] += 1
        elif (strategies := _strategies(settings)) is None:
            left_out["what its strategies read lies outside the store"] += 1
        elif {*parts([strategies[0]])} - {Part(settings["iterations"]["role"])}:
            left_out["its sampler asks other models too"] += 1
        elif isinstance(training := _training(made, reach, *strategies), str):
            left_out[training] += 1
        else:
            report.counts["rows_owed"] += 1
            for expected, found in _differing(training):
                report.add("iterations", reach.artifacts[made.digest], expected, found, reach.remedies[made.digest])
    report.notes += [
        f"the rows of {n} trainings that sampled for themselves were not counted: {why}" for why, n in sorted(left_out.items())
    ]


def _is_rewritten(made: Publication, reach: Reach) -> bool:
    read = [holder for one in made.ingredients["inputs"].get("problems", []) if (holder := reach.holder(one)) is not None]
    return any(reach.store.now(digest) != digest for digest in (made.digest, *read))


def _strategies(settings: Mapping[str, Any]) -> tuple[Strategy, list[Strategy], int] | None:
    """The sampler, the verifiers and how many problems an iteration has; None where one reads a file of the user's."""
    trainer = settings["trainer"]
    try:
        return load(trainer["sampler"]), [load(one) for one in trainer["verifiers"]], int(trainer["problems"])
    except (RoundhouseError, ValidationError, OSError):
        return None


def _training(made: Publication, reach: Reach, sampler: Any, verifiers: list[Any], each: int) -> _Training | str:
    """Why its rows cannot be counted, where they cannot."""
    contents = made.ingredients["inputs"].get("problems", [])
    paths = [path for content in contents for path in reach.files(content, "problems")]
    own = [reach.files(made.digest, spec.name) for spec in (records.COMPLETIONS, records.VERDICTS, records.STATE)]
    if len(paths) != len(contents) or not paths or not all(own):
        return "what it read or made is damaged"
    problems = in_order_of(tables.read(paths, records.PROBLEMS), made.ingredients["seed"])
    completions, verdicts, state = (
        tables.read(found, spec) for found, spec in zip(own, (records.COMPLETIONS, records.VERDICTS, records.STATE), strict=True)
    )
    if (numbers := _numbers(completions)) is None:
        return "its completions do not say in which iteration they were drawn"
    iterations = max([state.num_rows, *(number + 1 for number in numbers)])
    return _Training(sampler, verifiers, problems, each, completions, numbers, verdicts["completion_id"], iterations)


def _differing(training: _Training) -> Iterator[tuple[str, str]]:
    """(expected, found) for every iteration that has more or fewer rows than it owes."""
    numbers, told = pa.array(training.numbers, pa.int64()), 0
    for number in range(training.iterations):
        given = Tables(problems_of(training.problems, training.each, number))
        completions = training.completions.filter(pc.equal(numbers, number))
        owed = training.sampler.owes(given)
        if completions.num_rows != owed:
            yield f"{owed} completions in iteration {number}", str(completions.num_rows)
        verdicts = pc.sum(pc.is_in(training.judged, value_set=completions["completion_id"].combine_chunks())).as_py() or 0
        due = sum(verifier.owes(Tables(given.problems, completions)) for verifier in training.verifiers)
        if verdicts != due:
            yield f"{due} verdicts in iteration {number}", str(verdicts)
        told += verdicts
    if told != len(training.judged):
        yield "no verdicts but on its own completions", f"{len(training.judged) - told} on others"


def _numbers(completions: pa.Table) -> list[int] | None:
    """Of every completion, after how many iterations it was drawn; None where their models do not say so."""
    models = [model.partition("+") for model in completions["model_id"].to_pylist()]
    if len({name for name, _, _ in models}) > 1 or not all(number.isdecimal() for _, plus, number in models if plus):
        return None
    return [int(number) if plus else 0 for _, plus, number in models]
