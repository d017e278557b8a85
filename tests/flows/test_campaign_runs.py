"""A campaign through the command: it runs, it is recorded, and doing it again does nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib.home import Home
from tests.flows.conftest import SMALL, Run, digests, executed


def test_a_round_runs_from_one_command_and_again_reuses_all_of_it(run: Run, home: Home, model: Path):
    words = ("improve", "tiny", "--model", str(model), "--recipe", "no_filter", "--set", "trainer.replay=[]", *SMALL)
    first = run(*words, "--rounds", "1", "--json")
    assert first.returncode == 0, first.stderr
    assert {row["round"] for row in json.loads(first.stdout)["test"]} == {0, 1}
    record = json.loads((home.campaigns / "tiny" / "round-001" / "round.json").read_text())
    assert list(record["stages"]) == [
        "main/sample", "main/verify", "main/filter", "main/train", "evaluate/validation", "evaluate/test",
    ]  # fmt: skip
    assert record["state"] == "accepted"
    assert len(record["made"]["policy"]) == 64
    done, found = executed(home), digests(home, "tiny")

    again = run("improve", "tiny")
    assert again.returncode == 0, again.stderr
    assert executed(home) == done
    assert digests(home, "tiny") == found

    other = run(*["improve", "other", *words[2:]], "--rounds", "1")  # another name: the same content, so the same artifacts
    assert other.returncode == 0, other.stderr
    assert executed(home) == done
    assert digests(home, "other") == found

    for asked in (("lineage", "model", "tiny"), ("query", "funnel"), ("status", "tiny"), ("status",), ("recipes",)):
        shown = run(*asked, "--json")
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)
    forecast = json.loads(run("rerun", "tiny", "--round", "1", "--from", "train", "--dry-run", "--json").stdout)
    assert [(row["stage"], row["fate"]) for row in forecast[:4]] == [
        ("main/sample", "reused"), ("main/verify", "reused"), ("main/filter", "reused"), ("main/train", "runs: asked for"),
    ]  # fmt: skip


@pytest.mark.slow
def test_two_homes_and_one_seed_give_the_same_artifacts(run: Run, home: Home, tmp_path: Path):
    words = ("improve", "same", "--count", "60", "--held-out", "20", "--warm-steps", "20", "--set", "trainer.steps=5", "--rounds", "2")
    assert run(*words).returncode == 0
    other = Home(tmp_path / "elsewhere")
    ended = run(*words, ROUNDHOUSE_HOME=str(other.root))
    assert ended.returncode == 0, ended.stderr
    assert digests(home, "same") == digests(other, "same")
    assert {p.name for p in (home.store / "artifacts").glob("*/*")} == {p.name for p in (other.store / "artifacts").glob("*/*")}
