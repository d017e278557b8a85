"""A round run again: the same content changes nothing, another model sets aside what stood on the old one."""

from __future__ import annotations

import json
import shlex
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from lib.campaign import CampaignFolder
from lib.home import Home
from lib.store import Store
from lib.walk import walk
from tests.flows.conftest import ROOT, Run, executed

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

    see_one_cut_short(run)

    other = json.loads(run("rerun", "scaled", "--round", "1", "--from", "train", "--json", FACTOR="1.5").stdout)
    assert not other["same"]
    assert json.loads(run("status", "scaled", "--json").stdout)["cut_short"] == []
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


def see_one_cut_short(run: Run) -> None:
    """A rerun that fails changes no record, and status says that it did not come to its end."""
    told = json.loads(run("status", "scaled", "--json").stdout)
    assert [(row["round"], row["seconds"] > 0) for row in told["history"]] == [(0, True), (1, True), (2, True)]
    assert run("rerun", "scaled", "--round", "1", "--from", "train", FACTOR="none").returncode == 1
    now = json.loads(run("status", "scaled", "--json").stdout)
    assert (told["cut_short"], now["cut_short"]) == ([], [{"round": 1, "attempt": 1, "overrides": {}}])
    assert now["history"] == told["history"], "the round stands as it was"
    assert "roundhouse rerun scaled --round 1 --from STAGE" in run("status", "scaled").stdout


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


def test_a_setting_changed_for_one_round_stays_with_that_round_and_touches_no_other(run: Run, home: Home, model: Path, tmp_path: Path):
    (tmp_path / "scaled.py").write_text(SCALED)
    words = ("improve", "--recipe", str(tmp_path / "scaled.py"), "--model", str(model), "--count", "40", "--held-out", "8")
    assert run(*words, "--rounds", "2").returncode == 0
    folder = CampaignFolder(home, "scaled")
    campaign, first = (folder.path / "campaign.json").read_bytes(), folder.record(1)

    def again(*more: str, **environment: str) -> tuple[dict[str, Any], list[str]]:
        before = executed(home)
        ran = run("rerun", "scaled", *more, "--json", **environment)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout), [label.partition(" ")[2] for label in executed(home)[len(before) :]]

    changed, ran = again("--round", "1", "--set", "sampler.n=3")
    assert changed["overrides"] == {"sampler.n": "3"}
    assert "the campaign's recipe and other rounds stay as they are" in changed["sentence"]
    assert ran == ["r1 main/sample", "r1 main/verify", "r1 main/filter", "r1 main/train"]
    assert changed["same"], "this trainer makes the same of whatever it is given, so all that follows is reused"
    assert (folder.record(1).overrides, folder.record(1).supersedes) == ({"sampler.n": "3"}, first.event)
    assert (folder.path / "campaign.json").read_bytes() == campaign
    told = json.loads(run("explain", "scaled", "--round", "1", "--json").stdout)
    assert (told["overrides"], told["against"]) == ({"sampler.n": "3"}, "the record that it superseded")
    fates = {(job["stage"], job["part"]): (job["fate"], job["because"]) for job in told["jobs"]}
    assert fates["main/sample", ""] == ("ran", ["setting sampler.n: 2 → 3"])
    assert fates["main/train", ""] == ("ran", ["input examples, made by main/filter"])
    assert fates["evaluate/validation", "sample"] == fates["evaluate/test", "sample"] == ("reused", [])
    with sqlite3.connect(home.root / "mlflow.db") as rows:
        assert rows.execute("SELECT value FROM params WHERE key LIKE 'set%'").fetchall() == [("3",)]

    kept, ran = again("--round", "1", "--from", "train")
    assert (kept["overrides"], ran) == ({"sampler.n": "3"}, ["r1 main/train"])
    told = json.loads(run("explain", "scaled", "--round", "1", "--stage", "train", "--json").stdout)
    assert [(job["fate"], job["because"], job["version"]) for job in told["jobs"]] == [("ran", ["asked for"], 2)]
    back, ran = again("--round", "1", "--set", "sampler.n=2")
    assert (back["overrides"], ran) == ({}, []), "the campaign's own value is no change, and was made before"

    again("--round", "2", "--set", "sampler.n=3")
    assert again("--round", "1", "--from", "train", FACTOR="1.5")[0]["stale"] == [2]
    assert run("improve", "scaled", "--rounds", "3").returncode == 0
    assert [record.overrides for record in folder.finished()] == [{}, {}, {"sampler.n": "3"}, {}], "made again with what was changed for it"
    drawn = {record.round: record.stages["main/sample"]["jobs"][0] for record in folder.finished() if record.round}
    store = Store(home.store)
    assert [store.read(drawn[n]["key"], drawn[n]["version"]).ingredients["settings"]["sampler"]["n"] for n in (1, 2, 3)] == [2, 3, 2]


def test_the_readmes_chapter_runs_as_it_stands(run: Run, home: Home, model: Path, tmp_path: Path):
    (tmp_path / "scaled.py").write_text(SCALED)
    begin = ("improve", "first", "--recipe", str(tmp_path / "scaled.py"), "--model", str(model), "--count", "40", "--held-out", "8")
    assert run(*begin, "--rounds", "2").returncode == 0
    chapter = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Rerun\n")[2].partition("\n## ")[0]
    lines = chapter.partition("```\n")[2].partition("```")[0].splitlines()
    told = {}
    for line in lines:
        name, *words = shlex.split(line, comments=True)
        ran = run(*words)
        assert (name, ran.returncode) == ("roundhouse", 0), f"{line}: {ran.stderr}"
        told[" ".join(words)] = ran.stdout
    assert "main/train" in told["rerun first --round 2 --from train --dry-run"]
    assert "runs: setting sampler.n: 2 → 16" in told["rerun first --round 2 --set sampler.n=16 --dry-run"]
    assert "ran: setting sampler.n: 2 → 16" in told["explain first --round 2"]
    assert json.loads(told["explain first --round 2 --stage train --json"])["overrides"] == {"sampler.n": "16"}
