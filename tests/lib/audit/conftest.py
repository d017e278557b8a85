from __future__ import annotations

from pathlib import Path

import pytest

from lib.home import Home
from tests.audited_home import small_home
from tests.small_home import SmallHome


@pytest.fixture(scope="package")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> SmallHome:
    return small_home(tmp_path_factory.mktemp("audited") / "home")


@pytest.fixture
def small(untouched: SmallHome, tmp_path: Path) -> SmallHome:
    return untouched.copy(Home(tmp_path / "home"))
