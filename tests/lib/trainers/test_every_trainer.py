"""What every trainer of the folder promises: a model that opens, the same one each time, whatever a machine holds at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib import models, trainers
from lib.errors import UserError
from lib.heads import load_with_head
from lib.protocols import Machine, Trainer
from lib.records import EXAMPLES
from lib.strategy import Strategy, in_module, load
from lib.trainers.pair_value import PairValue
from lib.trainers.reward import Reward
from tests.lib.trainers.examples import ROWS, table

FILES = sorted(path.stem for path in Path(trainers.__file__).parent.glob("*.py"))
CLASSES = [found for stem in FILES if (found := in_module(f"lib.trainers.{stem}", "train"))]
MORE: dict[str, list[dict[str, Any]]] = {
    "Sft": [{}, {"kl_coefficient": 0.5, "reduction": "row_means"}],
    "MarginalLikelihood": [{"batch_size": 2, "beta": 0.5}],
    "PolicyGradient": [{"kl_coefficient": 0.1}, {"ratio": "sequence", "clip_high": None}],
    "Preference": [{"loss": "cdpo", "epsilon": 0.1, "nll_weight": 1.0}, {"loss": "simpo", "beta": 2.0}],
    "Dpo": [{"nll_weight": 1.0}, {"reference": None}],
    "Kto": [{}, {"loss_type": "apo_zero_unpaired"}],
    "PairValue": [{"margin_scale": 0.5}],
    "Reward": [{"margin_scale": 0.5}],
    "StepValue": [{}, {"loss": "mse"}],
}
"""Class → the settings that it is tried with; the usual ones where it is not here."""

TRIED = [
    cls.model_validate({"steps": 4, "batch_size": 4, "learning_rate": 5e-4, **more})
    for cls in CLASSES
    for more in MORE.get(cls.__name__, [{}])
]
Run = Callable[..., dict[str, float]]


def named(trainer: Strategy) -> str:
    return "-".join([type(trainer).__name__, *(str(value) for value in MORE.get(type(trainer).__name__, [{}])[_place(trainer)].values())])


def _place(trainer: Strategy) -> int:
    return [one for one in TRIED if type(one) is type(trainer)].index(trainer)


@pytest.fixture
def train(start: Path, other: Path) -> Run:
    def by(trainer: Any, out: Path, **machine: Any) -> dict[str, float]:
        given = {"start": start, "reference": other}
        return dict(trainer.train(given, table(trainer.learns_from), out, 3, Machine(**machine)))

    return by


def test_the_folder_s_trainers_are_found() -> None:
    assert {cls.__name__ for cls in CLASSES} >= {"Sft", "PlainSft", "Dpo", "Kto", "Nft", "PolicyGradient", "StepValue", "Reward"}
    assert set(MORE) <= {cls.__name__ for cls in CLASSES}
    assert all(isinstance(trainer, Trainer) for trainer in TRIED)


@pytest.mark.parametrize("trainer", [PairValue, Reward])
def test_models_that_value_pairs_are_charged_for_all_that_they_read_of_both_sides(train: Run, tmp_path: Path, trainer: Any) -> None:
    figures = train(trainer(steps=1, batch_size=4), tmp_path / "out")
    assert figures["tokens_trained"] == sum(len(prompt) + len(completion) for _, prompt, completion, _ in ROWS)


@pytest.mark.parametrize("trainer", TRIED, ids=named)
def test_the_same_seed_gives_the_same_bytes_and_every_step_is_told(train: Run, tmp_path: Path, trainer: Any, start: Path) -> None:
    told: list[tuple[int, int]] = []
    figures = train(trainer, tmp_path / "one", report=lambda done, total: told.append((done, total)))
    assert train(trainer, tmp_path / "two") == figures
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two
    assert set(one) <= {path.name for path in start.iterdir()}
    assert figures["steps"] == 4
    assert figures["tokens_trained"] > 0


@pytest.mark.parametrize("trainer", TRIED, ids=named)
def test_the_micro_batch_changes_nothing_but_rounding(
    train: Run, tmp_path: Path, trainer: Any, furthest: Callable[[Path, Path], float], start: Path
) -> None:
    whole = train(trainer, tmp_path / "whole")
    parts = train(trainer, tmp_path / "parts", micro_batch=1)
    assert parts == pytest.approx(whole, abs=1e-4)
    assert furthest(tmp_path / "parts", tmp_path / "whole") < 2e-5
    if models.head(tmp_path / "whole") is None:
        assert furthest(tmp_path / "whole", start) > 1e-4


@pytest.mark.parametrize("trainer", TRIED, ids=named)
def test_what_comes_out_opens_as_what_it_is(train: Run, tmp_path: Path, trainer: Any) -> None:
    train(trainer, tmp_path / "out")
    kind = models.head(tmp_path / "out")
    assert kind == {"Reward": "sequence", "StepValue": "token", "OutcomeValue": "token", "PairValue": "token"}.get(type(trainer).__name__)
    if kind is None:
        models.load_model(tmp_path / "out", dtype="float32", device="cpu")
    else:
        load_with_head(tmp_path / "out", kind, seed=0, device="cpu")


@pytest.mark.parametrize("trainer", TRIED, ids=named)
def test_a_trainer_survives_the_way_through_json(trainer: Any) -> None:
    assert load(trainer.model_dump(mode="json")) == trainer


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_no_examples_is_said_before_a_model_is_loaded(tmp_path: Path, cls: Any) -> None:
    with pytest.raises(UserError, match=f"no examples to train on: the stage before {cls.__name__} kept none"):
        cls().train({}, EXAMPLES[cls.learns_from].empty(), tmp_path / "out", 0, Machine())
    assert not (tmp_path / "out").exists()
