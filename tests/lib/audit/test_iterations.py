"""Rows that went missing inside a training that sampled for itself: three iterations of two problems, two samples of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lib import keys, models, records, tables
from lib.engines.huggingface import Huggingface
from lib.filters.group_advantages import GroupAdvantages
from lib.samplers.chain import Chain
from lib.samplers.independent import Independent
from lib.stages.iterations import Iterations
from lib.strategy import Strategy
from lib.trainers.online_policy_gradient import OnlinePolicyGradient
from lib.verifiers.length import Length
from tests.audited_home import audited, edited, named, put, record_of
from tests.filter_stage import completion, verdict
from tests.small_home import PROBLEMS, SmallHome, draw, model_files

Rows = list[dict[str, Any]]

NONE: Rows = []


def drawn() -> tuple[Rows, Rows]:
    """Completions and verdicts of a whole training."""
    by = ["m", "m+1", "m+2"]
    completions = [completion(f"c{number}{place}", PROBLEMS[place // 2], model_id=by[number]) for number in range(3) for place in range(4)]
    return completions, [verdict(row["completion_id"], "correct") for row in completions]


def trained(small: SmallHome, completions: Rows, verdicts: Rows, sampler: Strategy | None = None, iterations: int = 3, **more: Any) -> None:
    """Round 2's training as if it had been online, by the code of today, and had left these rows, all dropped."""
    one = OnlinePolicyGradient(
        sampler=sampler or Independent(n=2), verifiers=(Length(),), filters=(GroupAdvantages(),), iterations=3, problems=2, **more
    )
    settings = {
        name: part.model_dump(mode="json") for name, part in (("trainer", one), ("iterations", Iterations()), ("engine", Huggingface()))
    }
    made: dict[str, Any] = {"kind": "train", "settings": settings, "versions": {}, "seed": 5}
    made["models"] = {"start": models.identity(small.store.folder(small.first))}
    made["inputs"] = {"problems": [small.store.content(shard) for shard in draw(small)]}
    made["code"] = keys.closure(sorted({*keys.strategy_modules(settings)}))[0]
    told = [{"controller": "OnlinePolicyGradient", "key": f"iteration {number:06d}", "value": "{}"} for number in range(iterations)]
    files: dict[str, tuple[records.TableSpec, Rows]] = {
        "completions": (records.COMPLETIONS, completions),
        "verdicts": (records.VERDICTS, verdicts),
        "examples_group": (records.GROUP, NONE),
        "example_sources": (records.EXAMPLE_SOURCES, NONE),
        "dropped": (
            records.DROPPED,
            [{"unit": "completion", "id": row["completion_id"], "filter": "GroupAdvantages", "reason": "all alike"} for row in completions],
        ),
        "state": (records.STATE, told),
    }
    with small.store.workspace() as out:
        for name, text in model_files("online").items():
            (out / name).write_text(text)
        for name, (spec, rows) in files.items():
            tables.write(spec.table(rows), spec, out / f"{name}.parquet")
        online = small.store.publish(out, keys.key_of(made), made, {}, {})
    put(small.home, 2, "main/train", online)
    edited(record_of(small.home, 2), lambda record: record["made"].update(policy=online.digest))


def test_a_training_with_all_that_its_iterations_owe_passes(small: SmallHome) -> None:
    trained(small, *drawn())
    report = audited(small.home)
    assert named(report) == []
    assert report.counts["rows_owed"] == 1
    assert not [note for note in report.notes if "sampled for themselves" in note]


def without(rows: Rows, *names: str) -> Rows:
    return [row for row in rows if row["completion_id"] not in names]


def later(rows: Rows) -> Rows:
    """The rows with one of the second iteration's in the third."""
    return [{**row, "model_id": "m+2"} if row["completion_id"] == "c11" else row for row in rows]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda completions, verdicts: (without(completions, "c13"), without(verdicts, "c13")),
            ["4 completions in iteration 1, found 3"],
        ),
        (lambda completions, verdicts: (completions, without(verdicts, "c20")), ["4 verdicts in iteration 2, found 3"]),
        (
            lambda completions, verdicts: (later(completions), verdicts),
            ["4 completions in iteration 1, found 3", "4 completions in iteration 2, found 5"],
        ),
        (lambda completions, verdicts: (completions, [*verdicts, verdict("whose")]), ["on its own completions, found 1 on others"]),
        (
            lambda completions, verdicts: (completions[:8], verdicts[:8]),
            ["4 completions in iteration 2, found 0"],
        ),
    ],
    ids=["a completion", "a verdict", "another iteration's", "a verdict on nothing", "a whole iteration"],
)
def test_an_iteration_with_other_rows_than_it_owes_is_named(
    small: SmallHome, spoil: Callable[[Rows, Rows], tuple[Rows, Rows]], says: list[str]
) -> None:
    trained(small, *spoil(*drawn()))
    found = named(audited(small.home))
    assert [check for check, _ in found] == ["iterations"] * len(says)
    for words, (_, line) in zip(says, found, strict=True):
        assert line.startswith("round 2 main/train: ") and words in line


def test_what_cannot_be_told_apart_is_left_out_and_said_to_be(small: SmallHome) -> None:
    completions, verdicts = drawn()
    trained(small, without(completions, "c13"), verdicts[:3], Chain(first=Independent(n=1), role="critic", template="{completion}"))
    report = audited(small.home)
    assert [check for check, _ in named(report)] == []
    assert "the rows of 1 trainings that sampled for themselves were not counted: its sampler asks other models too" in report.notes
