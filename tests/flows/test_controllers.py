"""Campaigns with controllers: killed in a probe, run again, explained and audited; and stopped by their own rule."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.stopping import BY_RULE
from lib.campaign import CampaignFolder
from lib.home import Home
from lib.store import Store
from tests.flows.conftest import Run, command, digests, environment, executed
from tests.flows.test_budgets import ended

pytestmark = pytest.mark.slow

RECIPE = '''"""A round that a grid of six probes begins."""
from lib.controllers.balance import Balance
from lib.controllers.plateau import Plateau
from lib.controllers.schedule import Schedule
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(
        Phase(
            controllers=(
                Balance(temperatures=(0.5, 0.7, 0.9, 1.1, 1.3, 1.5), n=3, probe_problems=5),
                Schedule(setting="sampler.n", start=2, end=3, whole=True),
            ),
            sampler=Independent(n=8, max_new_tokens=16),
            trainer=Sft(start_from="previous", steps=2),
            accumulate="all",
            keep_rows=30,
            evict="random",
        ),
    ),
    evaluators=(PassAtK(k=(1,), sampler=Independent(n=1, max_new_tokens=16)),),
    gate=None,
)
STOPPING = RECIPE.model_copy(update={"stop": Plateau(rounds=1, collapse=())})
'''


def words(folder: Path, name: str, model: Path, *more: str, stopping: bool = False) -> list[str]:
    (folder / "grid.py").write_text(RECIPE + ("RECIPE = STOPPING\n" if stopping else ""))
    given = ["improve", name, "--model", str(model), "--recipe", str(folder / "grid.py"), "--count", "12", "--held-out", "2"]
    return [*given, *more]


def probes(home: Home) -> int:
    """How many probes are published."""
    return sum("main/balance sample" in label for label in executed(home))


def learned(home: Home, number: int) -> tuple[int, int]:
    """How many examples a round's trainer learned, and how many were evicted."""
    record = json.loads(CampaignFolder(home, "grid").round_path(number, 1).read_text())
    (job,) = record["stages"]["main/train"]["jobs"]
    stats = Store(home.store).stats(job["key"], job["version"])
    return stats["examples"], stats["evicted"]


@pytest.mark.timeout(900)
def test_a_kill_in_a_probe_loses_the_probe_alone_and_all_that_looks_back_works(
    run: Run, home: Home, server: str, model: Path, tmp_path: Path
):
    begin = words(tmp_path, "grid", model, "--rounds", "2")
    flow = subprocess.Popen(command(home, *begin), env=environment(home, server), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while probes(home) < 2 and time.monotonic() < deadline and flow.poll() is None:
        time.sleep(0.01)
    flow.kill()
    flow.wait(timeout=60)
    before = probes(home)
    assert 2 <= before < 6, "it was not killed among its probes"
    whole = run(*begin)
    assert whole.returncode == 0, whole.stderr
    assert probes(home) == 12, "six a round, none twice"

    first = json.loads(CampaignFolder(home, "grid").round_path(1, 1).read_text())
    assert [*first["stages"]][:3] == ["main/balance", "main/schedule", "main/sample"]
    assert steered(run) == [{"sampler.temperature": 0.5, "sampler.n": 2}, {"sampler.temperature": 0.5, "sampler.n": 3}]

    assert [learned(home, number) for number in (1, 2)] == [(24, 0), (30, 30)]  # 12 problems, n = 2 and then 3 beside the 24

    given = run("export", "examples", "grid", str(tmp_path / "learned"))
    assert given.returncode == 0, given.stderr
    assert sum(pq.read_metadata(path).num_rows for path in (tmp_path / "learned").rglob("*.parquet")) == 24 + 30
    audit = run("audit", "grid", "--offline")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    stood = digests(home, "grid")
    again = run("rerun", "grid", "--round", "2", "--from", "balance")
    assert again.returncode == 0, again.stderr
    assert "came out the same" in again.stdout
    assert digests(home, "grid") == stood
    dry = json.loads(run("rerun", "grid", "--round", "2", "--from", "verify", "--dry-run", "--json").stdout)
    fates = {f"{row['stage']} {row['part']}".strip(): row["fate"] for row in dry}
    assert fates["main/balance"] == fates["main/balance subset"] == fates["main/sample"] == "reused"
    forced = json.loads(run("rerun", "grid", "--round", "2", "--from", "schedule", "--dry-run", "--json").stdout)
    assert {row["fate"] for row in forced if row["stage"] == "main/sample"} == {"depends on what main/schedule will produce"}
    explained = run("explain", "grid", "--round", "2")
    assert explained.returncode == 0, explained.stderr
    assert "main/balance subset" in explained.stdout
    fewer = run("rerun", "grid", "--round", "1", "--set", "controllers.0.temperatures=[0.5, 0.7]", "--json")
    left = json.loads(fewer.stdout)
    assert (left["same"], left["stale"]) == (True, [2]), "the same temperature and model, and other scores"
    assert not CampaignFolder(home, "grid").round_path(2, 1).exists()
    onward = run("improve", "grid")
    assert onward.returncode == 0, onward.stderr
    assert digests(home, "grid")["2/main/train"] == stood["2/main/train"]
    audit = run("audit", "grid", "--offline")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    for looking in (["status", "grid"], ["report", "grid"], ["diff", "grid:1", "2"]):
        looked = run(*looking)
        assert looked.returncode == 0, looked.stderr


def steered(run: Run) -> list[dict[str, Any]]:
    """What was decided in each round, as a query finds it."""
    found: dict[int, dict[str, Any]] = {}
    for row in json.loads(run("query", "decisions", "--json").stdout):
        if row["key"].startswith("set."):
            found.setdefault(row["round"], {})[row["key"].removeprefix("set.")] = json.loads(row["value"])
    return [found[number] for number in sorted(found)]


@pytest.mark.timeout(900)
def test_a_campaign_that_gains_nothing_stops_and_goes_on_when_more_is_asked_for(
    run: Run, home: Home, server: str, model: Path, tmp_path: Path
):
    begin = words(tmp_path, "flat", model, stopping=True)
    told = json.loads(run(*begin, "--rounds", "4", "--json").stdout)
    assert told["rounds"] == 1
    assert told["stopped"] is None
    assert told["enough"].startswith("flat is stopped by its recipe: no gain of pass@1 above 0 in 1 rounds")
    assert {row["round"] for row in told["test"]} == {0, 1}
    facts = json.loads(run("status", "flat", "--json").stdout)
    assert "stopped by its recipe" in json.dumps(facts)
    done = executed(home)
    same = json.loads(run(*begin, "--rounds", "4", "--json").stdout)
    assert (same["rounds"], same["enough"]) == (1, told["enough"])
    assert executed(home) == done
    further = json.loads(run("improve", "flat", "--rounds", "6", "--json").stdout)
    assert further["rounds"] == 2, "a round more, for the rule looks at one"
    assert "difference to round 1" in further["enough"]
    assert set(ended(server, "improve", "flat")) == {("COMPLETED", BY_RULE)}
