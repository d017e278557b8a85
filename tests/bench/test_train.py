"""Every contestant of the bench trains once in tiny form, so that the bench cannot rot."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.train import OURS, THEIRS, compared, losses, tokens, train
from bench.train_rows import TASKS, texts, write_model


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    write_model(folder)
    return folder / "model"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*OURS, *THEIRS])
def test_every_contestant_trains(start: Path, tmp_path: Path, name: str) -> None:
    assert train(name, start, texts("geometric", 8, seed=1), tmp_path / "out") > 0
    assert (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.slow
def test_a_text_s_loss_is_that_of_its_completion(start: Path) -> None:
    found = losses(start, texts("even", 4, seed=2))
    assert [round(loss) for loss in found] == [6, 6, 6, 6]  # a random model: ln 435 = 6.08


def test_texts_are_the_same_chain_for_every_seed() -> None:
    follows: dict[int, set[int]] = {}
    for task in TASKS:
        for seed in (1, 2):
            for prompt, completion in texts(task, 40, seed):
                for one, after in zip(prompt + completion, (prompt + completion)[1:], strict=False):
                    follows.setdefault(one, set()).add(after)
    assert max(map(len, follows.values())) == 4
    assert tokens([([1, 2], [3]), ([4], [5])]) == 5


def test_ratios_and_losses_are_compared_turn_by_turn() -> None:
    runs = {
        name: [{"tokens": 100, "held_out": loss, "cpu_seconds": s} for s, loss in ((1.0, 3.5), (2.0, 4.0), (8.0, 3.0))] for name in OURS
    }
    theirs = {name: [{"tokens": 100, "held_out": 3.0, "cpu_seconds": s} for s in (2.0, 6.0, 8.0)] for name in THEIRS}
    found = compared({**runs, **theirs})["SFTTrainer"]
    assert set(found["ratios"].values()) == {2.0}
    assert found["held_out_worse"] == pytest.approx(0.5)
    assert found["standard_error"] == pytest.approx(0.5 / 3**0.5)
