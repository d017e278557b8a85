"""What a round takes over from the rounds before it besides their models: what its controllers look at, and examples.

A controller is given its own state of the last finished attempt, and tables of the stages of it that it reads; a train stage that
accumulates learns the examples of earlier rounds. A round that is run again may leave others though its model is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lib.job import Result
from lib.recipe import Recipe
from lib.round_record import RoundRecord

Left = dict[str, dict[str, list[str]]]
"""Stage path → table → references."""


def left_by(finished: Sequence[RoundRecord]) -> dict[str, Result]:
    """What the stages of the last of these rounds made and read; round 0 has no phases."""
    if not finished or not finished[-1].round:
        return {}
    refs = {path: (stage["made"], stage["read"]) for path, stage in finished[-1].stages.items()}
    made, read = ({path: {t: tuple(r) for t, r in tables[i].items()} for path, tables in refs.items()} for i in (0, 1))
    return {path: Result(made[path], (Result(read[path]),)) for path in refs}


def inherited(recipe: Recipe, number: int, before: Mapping[str, Result]) -> Left:
    """What the controllers of a round are given of the last finished attempt (`before`, as `left_by` has it)."""
    found: Left = {}
    for phase in recipe.phases_of(number):
        for name, controller in phase.deciders.items():
            tables = dict.fromkeys(getattr(controller, "reads", ()), tuple(getattr(controller, "needs", ())))
            tables[f"{phase.name}/{name}"] = ("state",)
            for path in tables.keys() & before.keys():
                found.setdefault(path, {}).update({table: list(before[path].every(table)) for table in tables[path]})
    return {path: found[path] for path in sorted(found)}


def changed(record: RoundRecord, before: Sequence[RoundRecord]) -> list[str]:
    """What a round took over that the rounds before it, as they are now, did not leave: `state of main/bandit`."""
    now = left_by(before) if record.inherited else {}
    tables = [(path, table, refs) for path, found in record.inherited.items() for table, refs in found.items()]
    others = [f"{table} of {path}" for path, table, refs in tables if path not in now or [*now[path].every(table)] != refs]
    learned = {path: stage.get("learned", {}).get("examples", []) for path, stage in record.stages.items() if stage["verb"] == "train"}
    return others + [f"examples of {path}" for path, refs in learned.items() if not {*refs} <= _known(record, path, before)]


def _known(record: RoundRecord, path: str, before: Sequence[RoundRecord]) -> set[str]:
    """The examples that a train stage found in its own round, made there itself, or could take over from earlier ones."""
    stages = [found.stages[path] for found in (*before, record) if found.round and path in found.stages]
    made = {job["digest"] for job in record.stages[path]["jobs"]}
    return made | {ref for stage in stages for table, refs in stage["read"].items() if table.startswith("examples_") for ref in refs}
