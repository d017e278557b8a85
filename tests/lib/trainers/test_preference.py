from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib.errors import UserError
from lib.protocols import Machine
from lib.records import IGNORED
from lib.trainers.dpo import Dpo
from lib.trainers.nft import Nft
from lib.trainers.preference import Preference
from lib.trainers.sppo import Sppo
from tests.lib.trainers.examples import table

Score = Callable[[Path, list[int]], list[float]]


def changed(kind: str, **columns: list[Any]) -> pa.Table:
    given = table(kind)
    for name, values in columns.items():
        place = given.schema.get_field_index(name)
        given = given.set_column(place, given.schema.field(place), pa.array(values, given.schema.field(place).type))
    return given


def train(trainer: Any, start: Path, given: pa.Table, out: Path) -> dict[str, float]:
    return dict(trainer.train({"start": start}, given, out, 0, Machine()))


def test_it_trains_as_dpo_through_trl_does(tmp_path: Path, start: Path, furthest: Callable[[Path, Path], float]) -> None:
    shared = {"steps": 3, "nll_weight": 1.0, "learning_rate": 5e-4, "beta": 0.5}
    ours = train(Preference.model_validate(shared), start, table("pair"), tmp_path / "ours")
    theirs = train(Dpo.model_validate({**shared, "reference": None}), start, table("pair"), tmp_path / "theirs")
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert furthest(tmp_path / "ours", tmp_path / "theirs") < 1e-5 < furthest(tmp_path / "ours", start)


def test_weights_epsilon_and_split_come_from_the_rows(tmp_path: Path, start: Path, logprobs: Score) -> None:
    given = changed("pair", weight=[2.0, 0.0, 1.0, 1.0], epsilon=[0.25, None, 0.4, 0.0], split_pos=[5, None, None, None])
    figures = train(Preference(steps=1, loss="cdpo", beta=0.5, epsilon=0.1), start, given, tmp_path / "out")
    total = 0.0
    for row in given.to_pylist():
        h = 0.0
        for sign, side in ((1, "chosen"), (-1, "rejected")):
            ids, labels = row[f"{side}_input_ids"], row[f"{side}_labels"]
            reference = iter(row[f"{side}_reference_logprobs"])
            for place, (label, ours) in enumerate(zip(labels[1:], logprobs(start, ids), strict=True), start=1):
                theirs = next(reference) if label != IGNORED else 0.0
                if label != IGNORED and place >= (row["split_pos"] or 0):
                    h += sign * (ours - theirs)
        eps = 0.1 if row["epsilon"] is None else row["epsilon"]
        loss = (1 - eps) * math.log1p(math.exp(-0.5 * h)) + eps * math.log1p(math.exp(0.5 * h))
        total += row["weight"] * loss / 4
    assert figures["loss_first"] == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("loss", ["simpo", "margin"])
def test_losses_without_a_reference_need_none(tmp_path: Path, start: Path, loss: Any) -> None:
    bare = changed("pair", chosen_reference_logprobs=[None] * 4)
    assert train(Preference(steps=1, loss=loss), start, bare, tmp_path / "out")["loss_first"] > 0


@pytest.mark.parametrize(
    ("trainer", "kind", "columns", "message"),
    [
        (
            Preference(),
            "pair",
            {"rejected_reference_logprobs": [None] * 4},
            "Preference needs the reference's log-probabilities, and 4 of 4",
        ),
        (Preference(loss="robust"), "pair", {"epsilon": [0.5, None, None, None]}, "needs epsilon below 1/2"),
        (Sppo(), "pair", {"rejected_win": [None, 0.1, 0.2, None]}, "Sppo needs chosen_win and rejected_win, and 2 of 4 examples"),
        (Nft(), "group", {"correct": [None] + [True] * 7}, "Nft needs to know what is correct, and 1 of 8 examples do not say"),
    ],
)
def test_what_examples_lack_is_said(tmp_path: Path, start: Path, trainer: Any, kind: str, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(trainer, start, changed(kind, **columns), tmp_path / "out")


def test_simpo_takes_no_other_means(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leave per_token out"):
        Preference(loss="simpo", per_token=True)


def test_a_single_win_gives_the_rejected_side_the_rest(tmp_path: Path, start: Path) -> None:
    one = train(
        Sppo(steps=1, single=True), start, changed("pair", chosen_win=[0.9, 0.6, 0.5, 0.7], rejected_win=[None] * 4), tmp_path / "one"
    )
    both = changed("pair", chosen_win=[0.9, 0.6, 0.5, 0.7], rejected_win=[0.1, 0.4, 0.5, 0.3])
    assert one == pytest.approx(train(Sppo(steps=1), start, both, tmp_path / "both"))
