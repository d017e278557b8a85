"""A small home of real artifacts, built once and copied for each test that changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.home import Home
from tests.small_home import SmallHome, build


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> SmallHome:
    return build(Home(tmp_path_factory.mktemp("home")))


@pytest.fixture
def small(small_home: SmallHome, tmp_path: Path) -> SmallHome:
    """One campaign: base, round 1 the champion, round 2 rejected; its base was trained from random weights."""
    return small_home.copy(Home(tmp_path / "home"))
