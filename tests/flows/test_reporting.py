"""One campaign that trains two roles: each has its own decision and champion, alarms are told, the report is left everywhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lib.home import Home
from lib.ledger import Ledger
from lib.publisher import publish
from lib.tracking import Experiment
from tests.flows.conftest import Run

RECIPE = '''"""Two roles from one tree of completions."""

from lib.evaluators.pass_at_k import PassAtK
from lib.gate import Gate
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

FEW = Independent(n=2, max_new_tokens=16)
ASKER = Independent(n=2, max_new_tokens=16, role="questioner")
RECIPE = Recipe(
    phases=(
        Phase(sampler=FEW, trainer=Sft(steps=3)),
        Phase(
            name="ask",
            role="questioner",
            stages=(Stage(verb="train", reads=("main/filter",), run=(Sft(steps=3, start_from="external:MODEL"),)),),
        ),
    ),
    evaluators=(PassAtK(k=(1, 2), sampler=ASKER), PassAtK(k=(1, 2), sampler=FEW)),
    gate=Gate(must_not_regress=(("pass_at_2", 0.05),)),
)
'''


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_campaign_decides_role_by_role_tells_its_alarms_and_leaves_a_report(run: Run, home: Home, model: Path, tmp_path: Path):
    recipe = tmp_path / "two.py"
    recipe.write_text(RECIPE.replace("MODEL", str(model)))
    ran = run(
        "improve", "two", "--model", str(model), "--recipe", str(recipe), "--count", "24", "--held-out", "8", "--rounds", "1", seconds=800
    )
    assert ran.returncode == 0, ran.stderr
    folder = home.campaigns / "two"
    record = json.loads((folder / "round-001" / "round.json").read_text())
    assert {*record["made"]} == {"policy", "questioner"}
    assert record["decision"]["sentence"].startswith("accepted: pass@1")
    assert {*record["decisions"]} == {"questioner"}
    met = record["decisions"]["questioner"]["sentence"]  # each role begins as the base, which its first model has to meet
    assert "against the champion's 0.000 on the same 16 problems" in met
    base = json.loads((folder / "round-000" / "round.json").read_text())
    assert base["decision"]["sentence"].endswith("the first champion")

    read = {row["alarm"]: row for row in record["alarms"]}
    assert read["truncated_share"]["level"] == "alarm"  # a model of random weights does not end
    assert read["gold_precision"]["level"] == "not applicable"
    assert {row["metric"]: row["value"] for row in record["metrics"] if row["split"] == "alarms"}["truncated_share"] > 0.2
    assert f"alarm truncated_share: {read['truncated_share']['sentence']}" in run("status", "two").stdout

    with Ledger(home) as ledger:
        told = ledger.rows(
            """SELECT DISTINCT stage, name FROM stages JOIN inputs USING (key) WHERE artifact IN
            (SELECT digest FROM artifacts WHERE kind = 'problems' AND json_extract_string(settings, '$.split') = 'test')"""
        )
        champions = {
            row["role"]: row["model"]
            for row in ledger.rows("SELECT role, model_out AS model FROM rounds WHERE state = 'accepted' AND round = 1")
        }
    # the closing figures alone are of the test split; the filter keeps its problems out of training, and reads nothing else of them
    assert {(row["stage"], row["name"]) for row in told} == {("evaluate/test", "problems"), ("main/filter", "held_out")}
    assert champions == record["made"]

    left = (folder / "report.html").read_bytes()
    assert run("report", "two", "--out", str(tmp_path / "again.html")).returncode == 0
    assert (tmp_path / "again.html").read_bytes() == left
    publish(home.outbox, home.mlflow_uri)
    experiment = Experiment(home.mlflow_uri, "two", 0)
    campaign = experiment.newest({"kind": "campaign", "campaign": "two"})
    assert campaign is not None
    assert {entry.path for entry in experiment.client.list_artifacts(campaign.id)} == {"lineage.md", "report.html"}
    kept = Path(experiment.client.download_artifacts(campaign.id, "report.html", str(tmp_path)))
    assert hashlib.sha256(kept.read_bytes()).digest() == hashlib.sha256(left).digest()
    assert experiment.client.get_metric_history(campaign.id, "alarms/truncated_share")
    for role, digest in record["made"].items():
        version = experiment.client.get_model_version_by_alias(f"two.{role}", "champion")
        assert version.tags["roundhouse.digest"] == digest

    for words, said in (
        (("report", "tow"), "no campaign 'tow' in"),
        (("report", "two", "--out", str(tmp_path)), "is a folder; give the name of a file in it"),
        (("report", "two", "--out", "/proc/report.html"), "cannot write"),
    ):
        ended = run(*words)
        assert ended.returncode == 1
        assert said in ended.stderr and len(ended.stderr.strip().splitlines()) == 1, ended.stderr
