"""Campaigns side by side through the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lib.campaign import CampaignFolder
from lib.home import Home
from tests.flows.conftest import Run, command, environment

WORDS = ("compare", "--recipes", "expert_iteration,warm_only", "--count", "40", "--held-out", "8", "--set", "trainer.steps=4")


@pytest.mark.slow
def test_compare_goes_on_with_the_same_options_and_refuses_others(run: Run, home: Home):
    words = (*WORDS, "--warm-steps", "20", "--rounds", "1", "--json")
    first, again = run(*words), run(*words)
    assert first.returncode == 0, first.stderr
    assert json.loads(again.stdout) == json.loads(first.stdout)
    found = json.loads(first.stdout)
    assert {type(figure["value"]) for row in found["test"] for figure in row["figures"].values()} == {float}
    assert all(row["low"] <= row["difference"] <= row["high"] for row in found["differences"])
    assert "begun before" not in first.stderr
    assert "compare-expert_iteration, compare-warm_only: begun before, and continued; --name OTHERNAME begins anew" in again.stderr
    other = run(*words, "--seed", "1")
    assert other.returncode == 1
    assert "'compare-expert_iteration' was begun with --seed 0, and --seed 1 is asked for" in other.stderr
    assert other.stdout == ""


def alive(home: Home) -> list[str]:
    """The `improve` processes of a home that run now."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"improve" in words and str(home.root).encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.slow
def test_ending_compare_ends_its_campaigns(home: Home, server: str):
    words = (*WORDS, "--warm-steps", "5000", "--jobs", "2")
    compare = subprocess.Popen(command(home, *words), env=environment(home, server), stderr=subprocess.PIPE, text=True)
    names = ("compare-expert_iteration", "compare-warm_only")
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and not all((home.campaigns / name / "progress.json").exists() for name in names):
        time.sleep(0.1)
    assert len(alive(home)) == 2
    os.kill(compare.pid, signal.SIGTERM)
    _, stderr = compare.communicate(timeout=60)
    assert compare.returncode == 130
    assert stderr.strip().splitlines()[-1] == "roundhouse: stopped; the same command continues"
    assert alive(home) == []
    assert [CampaignFolder(home, name).holder() for name in names] == [None, None]
