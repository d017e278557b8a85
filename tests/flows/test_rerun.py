"""A round run again: the same content changes nothing, another model sets aside what stood on the old one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib.home import Home
from lib.walk import walk
from tests.flows.conftest import Run, executed

pytestmark = pytest.mark.slow

SCALED = '''"""A trainer whose result depends on something outside its key, as a GPU's may."""
import os
from typing import ClassVar
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.strategy import Strategy

class Scaled(Strategy):
    learns_from: ClassVar[str] = "sft"
    start_from: str = "previous"
    def train(self, models, examples, out, seed, machine):
        from lib import models as m
        model = m.load_model(models["start"], dtype="float32", device="cpu")
        next(model.parameters()).data.mul_(float(os.environ.get("FACTOR", "1.01")))
        m.save(model, models["start"], out)
        return {}

RECIPE = Recipe(
    phases=(Phase(sampler=Independent(n=2), trainer=Scaled()),), evaluators=(PassAtK(k=(1,), sampler=Independent(n=2)),), gate=None
)
'''


def test_a_rerun_reuses_forecasts_and_invalidates(run: Run, home: Home, model: Path, tmp_path: Path):
    (tmp_path / "scaled.py").write_text(SCALED)
    words = ("improve", "--recipe", str(tmp_path / "scaled.py"), "--model", str(model), "--count", "40", "--held-out", "8")
    begun = run(*words, "--rounds", "2")
    assert begun.returncode == 0, begun.stderr
    folder = home.campaigns / "scaled"
    first = json.loads((folder / "round-001" / "round.json").read_text())
    before = executed(home)

    same = json.loads(run("rerun", "scaled", "--round", "1", "--from", "train", "--json").stdout)
    assert same["same"]
    assert executed(home)[len(before) :] == ["scaled r1 main/train"]
    assert (folder / "round-001" / "round.superseded-1.json").exists()
    assert run("status", "scaled").returncode == 0

    forecast = json.loads(run("rerun", "scaled", "--round", "1", "--from", "sample", "--dry-run", "--json").stdout)
    fates = [row["fate"] for row in forecast]
    assert fates[0] == "runs: asked for"
    assert fates[1:4] == [
        "depends on what main/sample will produce",
        "depends on what main/verify will produce",
        "depends on what main/filter will produce",
    ]
    assert set(fates[4:]) == {"depends on what main/train will produce", "depends on what evaluate/validation will produce"}
    again = run("rerun", "scaled", "--round", "1", "--from", "evaluate/validation", "--json")
    assert json.loads(again.stdout)["same"]
    assert [label.partition(" evaluate/")[2] for label in executed(home)[-3:]] == [
        f"validation {p}" for p in ("sample", "verify", "evaluate")
    ]

    other = json.loads(run("rerun", "scaled", "--round", "1", "--from", "train", "--json", FACTOR="1.5").stdout)
    assert not other["same"]
    assert other["stale"] == [2]
    again = json.loads((folder / "round-001" / "round.json").read_text())
    assert again["made"] != first["made"]
    assert again["supersedes"] == first["event"]
    assert not (folder / "round-002" / "round.json").exists()
    assert (home.store / "artifacts" / first["made"]["policy"][:2] / first["made"]["policy"]).is_dir()

    ended = run("improve", "scaled")
    assert ended.returncode == 0, ended.stderr
    assert (folder / "test.superseded-1.json").exists()
    assert (folder / "test.json").exists()
    second = json.loads((folder / "round-002" / "round.json").read_text())
    assert second["start"] == again["made"]

    back = json.loads(run("rerun", "scaled", "--round", "1", "--from", "train", "--json").stdout)
    assert back["stale"] == [2]
    assert run("improve", "scaled").returncode == 0
    last = json.loads((folder / "round-002" / "round.json").read_text())
    assert last["start"] == first["made"]
    assert walk(home.mlflow_uri, "scaled")[0]["digest"] == last["made"]["policy"], "the champion is back where the campaign is"


def test_a_damaged_artifact_is_made_again(run: Run, home: Home, model: Path, tmp_path: Path):
    (tmp_path / "scaled.py").write_text(SCALED)
    words = ("improve", "--recipe", str(tmp_path / "scaled.py"), "--model", str(model), "--count", "40", "--held-out", "8")
    assert run(*words, "--rounds", "1").returncode == 0
    record = json.loads((home.campaigns / "scaled" / "round-001" / "round.json").read_text())
    digest = record["stages"]["main/sample"]["jobs"][0]["digest"]
    file = home.store / "artifacts" / digest[:2] / digest / "completions.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    before = executed(home)
    mended = run("rerun", "scaled", "--round", "1", "--from", "filter")
    assert mended.returncode == 0, mended.stderr
    assert "quarantine" in mended.stderr
    assert executed(home)[len(before) :][0] == "scaled r1 main/sample"
    assert file.exists()
    assert any((home.store / "quarantine").iterdir())
