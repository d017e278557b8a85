"""The train stage: what a training learned of what it was given, as it stands beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lib import records, tables
from lib.engines.huggingface import Huggingface
from lib.problems.countdown import Countdown
from lib.protocols import Machine, Work
from lib.stages import train
from lib.trainers.sft import Sft
from tests.tiny_models import writer


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writer(tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="module")
def given(start: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The examples of three rounds: a, b and c; none; d and e."""
    engine = Huggingface().open(start, "m", Machine())
    rows: list[dict[str, object]] = []
    for name, row in zip("abcde", Countdown().problems("train", 5, 1).to_pylist(), strict=True):
        prompt, answer = engine.render(records.chat(row["prompt"])), engine.encode(row["answer"])
        labels = [records.IGNORED] * len(prompt) + answer
        rows.append({"example_id": name, "problem_id": "p", "input_ids": prompt + answer, "labels": labels, "weight": 1.0})
    folders = []
    for part in (rows[:3], [], rows[3:]):
        folders.append(tmp_path_factory.mktemp("examples"))
        tables.write(records.SFT.table(part), records.SFT, folders[-1] / "examples_sft.parquet")
    return folders


def trained(start: Path, given: list[Path], out: Path, **settings: Any) -> dict[str, Any]:
    out.mkdir()
    trainer = Sft(steps=1, batch_size=2).model_dump(mode="json")
    return train.run(Work({"trainer": trainer, **settings}, {"examples": given}, {"start": ("m", start)}, 7, Machine()), out)


@pytest.mark.parametrize(("rows", "gone"), [(3, [(0, "a"), (0, "b")]), (1, [(0, "a"), (0, "b"), (0, "c"), (2, "d")]), (5, [])])
def test_what_was_given_and_not_learned_lies_beside_the_model(
    start: Path, given: list[Path], tmp_path: Path, rows: int, gone: list[tuple[int, str]]
) -> None:
    stats = trained(start, given, tmp_path / "out", keep={"rows": rows, "evict": "oldest", "seed": 3})
    table = tables.read(tmp_path / "out" / "evicted.parquet", records.EVICTED)
    assert [tuple(row.values()) for row in table.to_pylist()] == gone
    assert (stats["examples"], stats["evicted"]) == (rows, 5 - rows)


def test_a_training_that_keeps_all_has_no_such_table(start: Path, given: list[Path], tmp_path: Path) -> None:
    stats = trained(start, given, tmp_path / "out")
    assert stats["examples"] == 5 and "evicted" not in stats
    assert not list((tmp_path / "out").glob("*.parquet"))
