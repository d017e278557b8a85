"""How a decision stands in a table."""

import pytest

from lib.controllers.balance import Balance
from lib.controllers.schedule import Schedule
from lib.deciding import Decided, named, rows_of, settings_of, state_of
from lib.errors import UserError
from lib.samplers.independent import Independent


def test_state_and_settings_come_back_from_rows():
    rows = rows_of("balance", Decided({"score": {"0.5": 0.25}}, {"sampler.temperature": 0.5}))
    assert state_of(rows) == {"score": {"0.5": 0.25}}
    assert settings_of(rows) == {"sampler.temperature": 0.5}
    assert set(rows["controller"].to_pylist()) == {"balance"}


def test_state_that_looks_like_a_setting_is_refused():
    with pytest.raises(UserError, match="means a setting"):
        rows_of("mine", Decided({"set.n": 1}))


def test_controllers_are_named_as_their_files_and_numbered():
    found = named([Schedule(setting="n"), Balance(), Schedule(setting="m")])
    assert [*found] == ["schedule", "balance", "schedule_2"]


def test_a_strategy_that_cannot_decide_is_refused():
    with pytest.raises(UserError, match="Independent cannot decide"):
        named([Independent()])
