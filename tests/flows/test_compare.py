"""Campaigns side by side through the command: made once, killed, stopped, failing, and within a budget."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lib.campaign import CampaignFolder
from lib.home import Home
from tests.flows.conftest import Run, command, environment, executed, kill_whole
from tests.flows.living import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RECIPE = '''"""A round of few jobs."""
import os
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

class Brittle(Sft):
    """Fails until told otherwise."""

    def train(self, models, examples, out, seed, machine):
        if os.environ.get("BREAK"):
            raise ValueError("broken on purpose")
        return super().train(models, examples, out, seed, machine)

RECIPE = Recipe(
    phases=(Phase(sampler=Independent(n=2, max_new_tokens=16), trainer=TRAINER(start_from="previous", steps=STEPS, batch_size=8)),),
    evaluators=(PassAtK(k=(1,), sampler=Independent(n=2, max_new_tokens=16)),),
    gate=None,
)
'''
NAMES = [f"x-{recipe}-seed{seed}" for seed in (0, 1) for recipe in ("few", "more")]


@pytest.fixture
def words(model: Path, tmp_path: Path) -> list[str]:
    """Two recipes that differ in their trainer alone, on a tiny model: `few`, and `more`, which can be broken."""
    (tmp_path / "few.py").write_text(RECIPE.replace("TRAINER", "Sft").replace("STEPS", "2"))
    (tmp_path / "more.py").write_text(RECIPE.replace("TRAINER", "Brittle").replace("STEPS", "3"))
    recipes = f"{tmp_path / 'few.py'},{tmp_path / 'more.py'}"
    options = ["--model", str(model), "--count", "8", "--held-out", "4", "--seeds", "2", "--rounds", "1"]
    return ["compare", "--name", "x", "--recipes", recipes, *options]


def publications(home: Home) -> Counter[str]:
    """How often each key was published: a second time would be something made twice."""
    return Counter(path.parent.name for path in (home.store / "by-key").glob("*/*.json") if path.stem.isdigit())


def found(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(done.stdout)


def test_what_campaigns_share_is_made_once_and_the_same_command_goes_on(run: Run, home: Home, words: list[str]):
    first = run(*words, "--json", seconds=600)
    assert first.returncode == 0, first.stderr
    facts = found(first)
    assert [row["campaign"] for row in facts["campaigns"]] == NAMES
    assert ({row["round"] for row in facts["campaigns"]}, facts["failed"]) == ({1}, [])
    assert facts["notes"][1] == "All campaigns of a seed began with the same model, and all have the same problems."
    assert {(row["new"], row["old"], row["seeds"]) for row in facts["differences"]} == {
        ("few", "more", 2),
        ("few", "base", 2),
        ("more", "base", 2),
    }
    done = executed(home)
    assert set(publications(home).values()) == {1}
    assert sum(" r1 main/sample" in label for label in done) == 2, "one of each seed: both recipes sample alike from one model"
    assert sum(" r1 main/train" in label for label in done) == 4
    assert sum(" r0 evaluate/validation evaluate" in label for label in done) == 2, "one of each seed"
    page = (home.comparisons / "x" / "comparison.html").read_text()
    assert facts["differences"][0]["sentence"].split(":")[0] in page
    assert json.loads((home.comparisons / "x" / "figures.json").read_text()) == {k: v for k, v in facts.items() if k != "page"}

    again = run("compare", "--name", "x", "--json", seconds=600)
    assert again.returncode == 0, again.stderr
    assert found(again) == facts
    assert executed(home) == done
    assert "comparison 'x' was begun before, and goes on; --name OTHERNAME begins another" in again.stderr
    other = run(*words, "--set", "trainer.steps=9")
    assert (other.returncode, other.stdout) == (1, "")
    assert "comparison 'x' was begun with no --set, and --set trainer.steps=9 is asked for" in other.stderr

    taken = {row["campaign"]: row["sampled"] + row["trained"] for row in facts["campaigns"]}
    dearest = max(taken, key=lambda name: taken[name])
    budget = 2 * taken[dearest] - 1  # too little for two rounds of the dearest
    short = run("compare", "--name", "x", "--rounds", "2", "--budget-tokens", str(budget), "--json", seconds=600)
    assert short.returncode == 0, short.stderr
    rounds = {row["campaign"]: row["rounds_done"] for row in found(short)["campaigns"]}
    assert rounds == {name: 2 if 2 * taken[name] <= budget else 1 for name in NAMES}, "and one that its budget stopped is closed"
    assert rounds[dearest] == 1
    assert all(row["sampled"] + row["trained"] <= budget for row in found(short)["campaigns"])
    assert {row["round"] for row in found(short)["campaigns"] if row["recipe"] == "few"} == {2}, "each as far as its own budget goes"
    assert f"had {budget:,} tokens to sample and to train on" in found(short)["notes"][0]
    whole = run("compare", "--name", "x", "--budget-tokens", str(20 * taken[dearest]), "--json", seconds=600)
    assert whole.returncode == 0, whole.stderr
    assert {(row["round"], row["rounds_done"]) for row in found(whole)["campaigns"]} == {(2, 2)}
    assert set(publications(home).values()) == {1}


def test_a_kill_of_all_its_processes_costs_what_was_at_work_and_nothing_is_made_twice(run: Run, home: Home, server: str, words: list[str]):
    compare = subprocess.Popen(
        command(home, *words, "--jobs", "2"), env=environment(home, server), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not any(" r1 main/sample" in label for label in executed(home)):
        time.sleep(0.05)
    kill_whole(compare)
    before = executed(home)
    assert any(" r1 main/sample" in label for label in before)
    assert not all((home.campaigns / name / "test.json").exists() for name in NAMES), "it was over before it was killed"
    ended = run("compare", "--name", "x", "--json", seconds=600)
    assert ended.returncode == 0, ended.stderr
    assert [row["campaign"] for row in found(ended)["campaigns"]] == NAMES
    assert executed(home)[: len(before)] == before
    assert set(publications(home).values()) == {1}
    assert max(Counter(label for label in executed(home) if "/train" in label).values()) == 1


def test_a_campaign_that_fails_is_told_at_once_and_left_out(run: Run, home: Home, words: list[str]):
    done = run(*words, "--json", BREAK="1", seconds=600)
    assert done.returncode == 1
    facts = found(done)
    assert [row["campaign"] for row in facts["failed"]] == ["x-more-seed0", "x-more-seed1"]
    assert "broken on purpose" in facts["failed"][0]["reason"]
    assert {(row["new"], row["old"]) for row in facts["differences"]} == {("few", "base")}
    assert facts["notes"][-1].startswith("Left out, because they failed: x-more-seed0 (")
    assert "roundhouse: campaign 'x-more-seed0' failed, and the others go on: " in done.stderr
    assert done.stderr.strip().splitlines()[-1] == (
        "roundhouse: 2 of 4 campaigns failed and are left out: x-more-seed0, x-more-seed1; the same command tries them again"
    )
    mended = run("compare", "--name", "x", "--json", seconds=600)
    assert mended.returncode == 0, mended.stderr
    assert found(mended)["failed"] == []
    assert set(publications(home).values()) == {1}


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


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ending_compare_ends_its_campaigns_and_no_other_command_runs_it_meanwhile(run: Run, home: Home, server: str, stop: int):
    words = ("compare", "--recipes", "expert_iteration,warm_only", "--seeds", "1", "--warm-steps", "5000", "--jobs", "2")
    compare = subprocess.Popen(
        command(home, *words, "--count", "40", "--held-out", "8"), env=environment(home, server), stderr=subprocess.PIPE, text=True
    )
    names = ("compare-expert_iteration-seed0", "compare-warm_only-seed0")
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and not all((home.campaigns / name / "progress.json").exists() for name in names):
        time.sleep(0.1)
    assert len(alive(home)) == 2
    second = run("compare", "--name", "compare")
    assert second.returncode == 1
    assert f"comparison 'compare' is being run by process {compare.pid} on " in second.stderr
    os.kill(compare.pid, stop)
    _, stderr = compare.communicate(timeout=60)
    if stop == signal.SIGKILL:
        eventually(lambda: not alive(home), "its campaigns outlived it", 60)
        return
    assert compare.returncode == 130
    lines = stderr.strip().splitlines()
    assert "roundhouse: stopping; what is done is kept" in lines
    assert lines[-1] == "roundhouse: stopped; the same command continues"
    assert alive(home) == []
    assert [CampaignFolder(home, name).holder() for name in names] == [None, None]
