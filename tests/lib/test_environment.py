from __future__ import annotations

import os

import pytest

from lib.environment import MACHINE, OFFLINE, PRIVATE, QUIET, SERVED, quiet_environment


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which the user has set none of the variables; what a test sets is undone."""
    for name in (*PRIVATE, *QUIET, *SERVED, *MACHINE, *OFFLINE, "ROUNDHOUSE_OFFLINE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def test_telemetry_is_off_and_the_hub_allowed(bare):
    quiet_environment()
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert "HF_HUB_OFFLINE" not in os.environ


def test_what_the_user_has_set_stands(bare):
    bare.setenv("OMP_NUM_THREADS", "8")
    bare.setenv("TRANSFORMERS_VERBOSITY", "info")
    in_force = quiet_environment()
    assert in_force["OMP_NUM_THREADS"] == os.environ["OMP_NUM_THREADS"] == "8"
    assert in_force["TRANSFORMERS_VERBOSITY"] == "info"


def test_offline_is_one_variable(bare):
    bare.setenv("ROUNDHOUSE_OFFLINE", "1")
    quiet_environment()
    assert all(os.environ[name] == "1" for name in OFFLINE)
