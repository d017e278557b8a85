"""How long stages take: as they took, at their own pace, or by rates."""

from __future__ import annotations

import pytest

from lib.pace import Pace, measured
from lib.round_record import RoundRecord
from lib.store import Store


def test_what_was_measured_comes_before_the_pace_and_the_pace_before_rates():
    known = Pace({"main/train": {"": 100.0}}, {"main/train": 7.0, "main/sample": 50.0})
    assert known.left("main/train", "", 0.25, 1.0) == pytest.approx(75.0)
    assert known.left("main/sample", "", 0.0, 3.0) == pytest.approx(50.0)
    assert known.left("main/sample", "", 0.5, 10.0) == pytest.approx(10.0)
    assert known.left("main/sample", "", 0.5, None) == pytest.approx(25.0)  # reused shards have no pace
    assert known.left("main/verify", "", 0.0, 0.0) is None


def test_the_parts_of_an_evaluation_are_known_each(tmp_path):
    store = Store(tmp_path)
    jobs = []
    for number, (label, seconds) in enumerate(
        [
            ("x r0 evaluate/gate sample 1/2", 3.0),
            ("x r0 evaluate/gate sample 2/2", 4.0),
            ("x r0 evaluate/gate verify 1/2", 0.5),
            ("x r0 evaluate/gate evaluate", 0.25),
        ]
    ):
        with store.workspace() as out:
            (out / "file").write_text(label)
            made = store.publish(out, f"{number:064x}", {}, {}, {"seconds": seconds})
        jobs.append({"label": label, "key": made.key, "version": made.version, "reused": False})
    record = RoundRecord("x", 0, 1, "accepted", stages={"evaluate/gate": {"jobs": jobs}, "main/train": {"jobs": jobs[:1]}})
    known = Pace(measured([record], store))
    assert known.measured == {"evaluate/gate": {"sample": 7.0, "verify": 0.5, "evaluate": 0.25}}  # the warm start is no round's train
    assert known.whole("evaluate/gate") == pytest.approx(7.75)
    assert known.after("evaluate/gate", "sample") == pytest.approx(0.75)
    assert known.after("evaluate/gate", "evaluate") == 0.0
