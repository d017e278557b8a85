from __future__ import annotations

from itertools import pairwise

import pytest

from lib.errors import UnknownName, UserError
from lib.trainers.sft import Sft


def test_epochs_take_the_place_of_the_default_steps() -> None:
    assert Sft(epochs=3).steps is None
    assert Sft().steps == 700


@pytest.mark.parametrize("given", [{"steps": 10, "epochs": 1.0}, {"steps": None}])
def test_steps_or_epochs_but_exactly_one(given: dict[str, float | None]) -> None:
    with pytest.raises(UserError, match="set exactly one"):
        Sft.model_validate(given)


@pytest.mark.parametrize(
    ("epochs", "rows", "steps"),
    [(1, 128, 2), (1, 130, 3), (0.5, 128, 1), (3, 10, 3)],  # ten rows are a whole batch
)
def test_epochs_become_enough_steps_to_see_every_row(epochs: float, rows: int, steps: int) -> None:
    assert Sft(epochs=epochs, batch_size=64).steps_over(rows) == steps


def test_learning_rate_rises_then_falls_to_its_least_share() -> None:
    trainer = Sft(warmup_share=0.05, min_lr_share=0.1)
    shares = [trainer.share_at(step, 105) for step in range(105)]
    assert shares[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0])  # 5.25 steps, rounded up
    assert shares[6] == 1.0
    assert shares[55] == pytest.approx(0.55)  # half way from 6 to 104
    assert shares[104] == pytest.approx(0.1)


@pytest.mark.parametrize(("schedule", "quarter", "last"), [("linear", 0.775, 0.1), ("constant", 1.0, 1.0), ("cosine", 0.868198, 0.1)])
def test_schedules_fall_by_their_formula(schedule: str, quarter: float, last: float) -> None:
    trainer = Sft.model_validate({"schedule": schedule, "warmup_share": 0.0})
    assert trainer.share_at(25, 101) == pytest.approx(quarter, abs=1e-6)
    assert trainer.share_at(100, 101) == pytest.approx(last)


def test_an_infinite_schedule_goes_on_where_the_last_round_ended() -> None:
    rounds = [
        {"warmup_share": 0.2, "schedule": "constant"},
        {"warmup_share": 0.0, "schedule": "cosine", "min_lr_share": 0.3},
        {"warmup_share": 0.0, "schedule": "constant", "peak_share": 0.3},
        {"warmup_share": 0.0, "schedule": "constant", "peak_share": 0.3},
        {"warmup_share": 0.5, "schedule": "constant", "start_share": 0.3, "peak_share": 0.6},
        {"warmup_share": 0.0, "schedule": "linear", "peak_share": 0.6, "min_lr_share": 0.0},
    ]
    trainers = [Sft.model_validate(settings) for settings in rounds]
    shares = [[trainer.share_at(step, 100) for step in range(100)] for trainer in trainers]
    joined = [share for one in shares for share in one]
    assert max(abs(a - b) for a, b in pairwise(joined)) <= 0.05 + 1e-12  # the first warm-up's own step
    assert [(one[0], one[-1]) for one in shares] == [
        (pytest.approx(a), pytest.approx(b)) for a, b in [(0.05, 1.0), (1.0, 0.3), (0.3, 0.3), (0.3, 0.3), (0.306, 0.6), (0.6, 0.0)]
    ]


def test_cosine_by_hand() -> None:
    trainer = Sft(warmup_share=0.0, min_lr_share=0.1)
    assert [trainer.share_at(step, 201) for step in (0, 50, 100, 200)] == pytest.approx([1, 0.8681981, 0.55, 0.1], abs=1e-6)


def test_a_misspelt_setting_is_refused_with_the_near_miss() -> None:
    with pytest.raises(UnknownName, match="did you mean 'learning_rate'"):
        Sft.model_validate({"learning_rates": 1.0})
