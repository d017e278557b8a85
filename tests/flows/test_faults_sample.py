"""Ten kills of the fault campaign, on every target: what bench/faults.py does two hundred times."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.faults import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_campaigns_end_as_if_nothing_had_been_killed(tmp_path: Path):
    found = run(tmp_path, "faults", kills=10, seed=1)
    assert found["problems"] == []
    assert found["kills"] >= 10
    assert found["starts"] > found["campaigns"]
    assert len(found["by target"]) >= 5
