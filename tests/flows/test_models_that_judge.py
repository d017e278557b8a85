"""A round whose verifiers are models: the policy's own likelihood, an adopted reward model, and a mix of them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.compute as pc
import pytest

from lib import records, tables
from lib.home import Home
from lib.store import Store
from tests.flows.conftest import SMALL, Run, executed
from tests.tiny_models import classifier

pytestmark = pytest.mark.slow

RECIPE = '''"""Countdown, with three opinions beside the rule."""

from lib.engines.classifier import Classifier
from lib.evaluators.drift import Drift
from lib.evaluators.pass_at_k import PassAtK
from lib.evaluators.win_rate import WinRate
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft
from lib.verifiers.countdown import Countdown
from lib.verifiers.likelihood import Likelihood
from lib.verifiers.majority import Majority
from lib.verifiers.mix import Mix
from lib.verifiers.reward_model import RewardModel

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=2),
            verifiers=(
                Countdown(),
                Likelihood(model="base"),
                RewardModel(model="external:REWARD", measure="pairwise"),
                Mix(of=(Countdown(), RewardModel(model="external:REWARD")), weights=(1, 0.1), threshold=0.5),
            ),
            trainer=Sft(start_from="base", steps=4),
        ),
    ),
    evaluators=(
        PassAtK(k=(1,), sampler=Independent(n=1), verifiers=(Countdown(), Likelihood(model="measured"))),
        Drift(sampler=Independent(n=1)),
        WinRate(sampler=Independent(n=1), scorer=RewardModel(model="external:REWARD", measure="pairwise")),
    ),
    engines={"reward_model": Classifier()},
)
'''


def measured_of(record: dict) -> dict[str, float]:
    return {row["metric"]: row["value"] for row in record["metrics"] if row["split"] == "validation"}


def test_models_judge_a_round_and_leave_their_opinions(home: Home, run: Run, model: Path, tmp_path: Path):
    (tmp_path / "mine.py").write_text(RECIPE.replace("REWARD", str(classifier(tmp_path / "rm", "sequence", 1))))
    words = ["improve", "judged", "--recipe", str(tmp_path / "mine.py"), "--model", str(model), "--rounds", "1", *SMALL]
    ended = run(*words)
    assert ended.returncode == 0, ended.stderr
    record = json.loads((home.campaigns / "judged" / "round-001" / "round.json").read_text())
    made = record["stages"]["main/verify"]["made"]
    store = Store(home.store)
    verdicts = tables.read([store.folder(ref) / "verdicts.parquet" for ref in made["verdicts"]], records.VERDICTS)
    counted = {name: pc.sum(pc.equal(verdicts["verifier"], name)).as_py() for name in ("countdown", "likelihood", "reward_model", "mix")}
    assert counted == {"countdown": 80, "likelihood": 80, "reward_model": 160, "mix": 80}
    scored = tables.read([store.folder(ref) / "token_scores.parquet" for ref in made["token_scores"]], records.TOKEN_SCORES)
    assert set(scored["model_id"].to_pylist()) == {record["start"]["policy"]}
    figures = record["stages"]["main/verify"]["figures"]
    assert figures["undecided_share/mix"] == 0
    assert "agreed_share/countdown/mix" in figures
    assert measured_of(record)["kl_k3"] > 0
    assert measured_of(record)["win_rate"] != 0.5
    base = measured_of(json.loads((home.campaigns / "judged" / "round-000" / "round.json").read_text()))
    assert (base["kl_k3"], base["win_rate"]) == (pytest.approx(0.0, abs=1e-6), 0.5)
    audited = run("audit", "judged", "--offline")
    assert audited.returncode == 0, audited.stdout
    before = len(executed(home))
    assert run(*words).returncode == 0
    assert len(executed(home)) == before, "everything is reused"
