"""A budget stops a campaign between shards, cleanly; what is done is kept, and more of it goes on to the same end."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.stopping import NAME
from lib.budget import Cost, Spending, together
from lib.home import Home
from tests.flows.conftest import ROOT, Run, digests, environment, executed

pytestmark = pytest.mark.slow

RECIPE = '''"""A round of few jobs."""
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(Phase(sampler=Independent(n=2, max_new_tokens=16), trainer=Sft(start_from="previous", steps=2)),),
    evaluators=(PassAtK(k=(1,), sampler=Independent(n=1, max_new_tokens=16)),),
    gate=None,
)
'''
TOKENS = 40
"""More than measuring the base model takes, less than that and the sampling of a round."""
NEXT = "import json, sys; from flows.next_round import next_round; print(json.dumps(next_round('scanty', budget_tokens=int(sys.argv[1]))))"


def costs(home: Home) -> list[tuple[str, Cost]]:
    """Label and cost of every job that was really done in a home, in order; evaluators that sample share their labels."""
    paths = sorted((home.store / "by-key").glob("*/*.stats.json"), key=lambda path: path.stat().st_mtime_ns)
    stats = [json.loads(path.read_text()) for path in paths]
    return [(found["label"], Cost.of(found["cost"])) for found in stats]


def ended(server: str, flow: str, campaign: str = "scanty") -> list[tuple[str, str]]:
    """Type and name of the last state of every run of a flow for a campaign."""
    wanted = {"flows": {"name": {"any_": [flow]}}, "flow_runs": {"name": {"like_": campaign}}, "sort": "START_TIME_ASC"}
    runs: list[dict[str, Any]] = httpx.post(f"{server}/flow_runs/filter", json=wanted, timeout=30).json()
    return [(run["state"]["type"], run["state"]["name"]) for run in runs]


@pytest.mark.timeout(900)
def test_a_budget_stops_between_shards_and_the_same_command_goes_on(run: Run, home: Home, server: str, model: Path, tmp_path: Path):
    (tmp_path / "few.py").write_text(RECIPE)
    words = ["improve", "scanty", "--model", str(model), "--recipe", str(tmp_path / "few.py")]
    words += ["--count", "8", "--held-out", "2", "--rounds", "1", "--json"]
    first = run(*words, "--budget-tokens", str(TOKENS))
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    spent = Spending(home.campaigns / "scanty").total()
    done = executed(home)
    assert spent.tokens >= TOKENS
    assert told["test"] == []
    assert told["stopped"].startswith(f"scanty is stopped by its budget: {spent.tokens:,} of {TOKENS} tokens are spent")
    assert done[-1] == "scanty r1 main/sample"
    assert spent.tokens - costs(home)[-1][1].tokens < TOKENS, "the last shard alone went over it"
    assert asdict(spent) == pytest.approx(asdict(together(cost for _, cost in costs(home))))
    assert {("COMPLETED", NAME)} == {*ended(server, "improve"), *ended(server, "round")}
    assert (home.campaigns / "scanty" / "report.html").is_file(), "what is done is told"
    shown = json.loads(run("status", "scanty", "--json").stdout)
    assert (shown["state"], shown["reason"], shown["spent"]["tokens"]) == ("stopped", told["stopped"], spent.tokens)

    again = run(*words, "--budget-tokens", str(TOKENS))
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["stopped"] == told["stopped"]
    assert executed(home) == done, "it stops at once"

    whole = run(*words)
    assert whole.returncode == 0, whole.stderr
    assert json.loads(whole.stdout)["stopped"] is None
    assert executed(home)[: len(done)] == done
    versions = [path.name for path in (home.store / "by-key").glob("*/*.json") if "stats" not in path.name]
    assert set(versions) == {"1.json"}, "no shard was done twice"
    assert json.loads(run("status", "scanty", "--json").stdout)["state"] == "complete"

    free = run("improve", "other", *words[2:], "--budget-tokens", "0", "--budget-seconds", "0")
    assert free.returncode == 0, free.stderr
    assert json.loads(free.stdout)["stopped"] is None, "what is there already costs nothing"
    assert digests(home, "other") == digests(home, "scanty")

    rows = json.loads(run("query", "costs", "--json").stdout)
    of = {name: [row for row in rows if row["campaign"] == name] for name in ("scanty", "other")}
    sampled = sum(cost.tokens for label, cost in costs(home) if " r1 main/sample" in label)
    assert [row["tokens"] for row in of["scanty"] if row["stage"] == "main/sample"] == [sampled]
    assert all(row["device_seconds"] > 0 for row in of["scanty"] if row["stage"] == "main/train")
    assert {row["reused_share"] for row in of["other"]} == {1.0}
    assert {row["tokens"] for row in of["other"]} == {0}

    scheduled = subprocess.run(
        [sys.executable, "-c", NEXT, "1"], env=environment(home, server), cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    assert scheduled.returncode == 0, scheduled.stderr
    assert json.loads(scheduled.stdout.splitlines()[-1])["stopped"]
    assert ended(server, "next-round")[-1] == ("COMPLETED", NAME)
    assert not any(label.startswith("scanty r2") for label in executed(home))


def test_a_budget_of_seconds_stops_even_the_beginning(run: Run, home: Home):
    words = ("improve", "begun", "--count", "40", "--held-out", "8", "--warm-steps", "2", "--set", "trainer.steps=2", "--rounds", "0")
    stopped = run(*words, "--budget-seconds", "0.001")
    assert stopped.returncode == 0, stopped.stderr
    assert "begun is stopped by its budget" in " ".join(stopped.stdout.split())
    assert "device-seconds are spent" in " ".join(stopped.stdout.split())
    assert not (home.campaigns / "begun" / "campaign.json").exists()
    assert Spending(home.campaigns / "begun").total().device_seconds > 0.001
    assert Spending(home.campaigns / "begun").total().tokens == 0, "worked solutions are not sampled"
