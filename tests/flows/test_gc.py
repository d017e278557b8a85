"""Garbage of a real campaign: what went is made again to the byte, and what runs beside a collection is not touched."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from flows.asking import Asked
from flows.planning import lack_of_room
from lib import models
from lib.errors import Collected
from lib.home import Home
from lib.lineage import lineage
from lib.store import Store
from tests.flows.conftest import Run, command, digests, environment, executed

pytestmark = pytest.mark.slow

CHAIN = '''"""Every round's model is accepted, and the next begins with it."""
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

LIMIT_SECONDS = 280.0


def made(home: Home) -> list[str]:
    """The model of every round of the campaign `tiny`."""
    return [digests(home, "tiny")[f"{number}/main/train"][0] for number in range(1, 5)]


@pytest.mark.timeout(900)
def test_old_weights_go_and_come_back_and_nothing_else_changes(run: Run, home: Home, server: str, model: Path, tmp_path: Path):
    (tmp_path / "chain.py").write_text(CHAIN)
    words = ("--model", str(model), "--recipe", str(tmp_path / "chain.py"), "--count", "8", "--held-out", "2", "--rounds", "4")
    assert (begun := run("improve", "tiny", *words)).returncode == 0, begun.stderr
    one, two, three, four = made(home)
    store = Store(home.store)
    walk = lineage(home, "model", four).to_dict()

    dry = json.loads(run("gc", "--keep", "1", "--dry-run", "--json").stdout)
    assert {row["name"] for row in dry["rows"]} == {one, two}
    store.verify(one)
    told = run("gc", "--keep", "1")
    assert told.returncode == 0, told.stderr
    assert "freed" in told.stdout
    for digest in (one, two):
        with pytest.raises(Collected):
            store.verify(digest)
    models.load_model(store.folder(four), dtype="float32", device="cpu")
    store.verify(three)
    assert lineage(home, "model", four).to_dict() == walk
    assert (again := run("improve", "tiny")).returncode == 0, again.stderr

    forecast = run("rerun", "tiny", "--round", "1", "--from", "evaluate/validation", "--dry-run", "--json")
    assert forecast.returncode == 0, forecast.stderr
    assert [row["fate"] for row in json.loads(forecast.stdout) if row["stage"] == "main/train"] == ["runs: its weights were collected"]
    refused = run("rerun", "tiny", "--round", "2", "--from", "train")
    assert refused.returncode == 1
    assert "make it again with: roundhouse rerun tiny --round 1 --from main/train" in " ".join(refused.stderr.split())
    before = executed(home)
    back = run("rerun", "tiny", "--round", "1", "--from", "train", "--json")
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["same"]
    assert executed(home)[len(before) :] == ["tiny r1 main/train"]
    store.verify(one)
    assert made(home) == [one, two, three, four]
    beside(home, server, words)
    shutil.rmtree(home.campaigns / "tiny")
    shutil.rmtree(home.campaigns / "beside")
    whole = {digest for digest in (one, two, three, four) if not store.gone(digest)}
    assert four in whole
    assert {row["name"] for row in json.loads(run("gc", "--json").stdout)["rows"]} >= whole, "their campaigns are gone"


def test_a_disk_that_is_too_small_is_told_beforehand(home: Home):
    free = shutil.disk_usage(home.root).free
    asked = Asked(name="large", recipe="no_filter", rounds=free // 2_000_000)  # a model a round, and some tables
    (line,) = lack_of_room(asked, home)
    assert line.endswith("make room with: roundhouse gc")
    assert lack_of_room(Asked(name="small", recipe="no_filter", rounds=1), home) == []


def beside(home: Home, server: str, words: tuple[str, ...]) -> None:
    """A campaign that begins like `tiny` finds and makes models while another process collects again and again."""
    running = subprocess.Popen(
        command(home, "improve", "beside", *words),
        env=environment(home, server),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    deadline, collected = time.monotonic() + LIMIT_SECONDS, 0
    while running.poll() is None and time.monotonic() < deadline:
        done = subprocess.run(command(home, "gc", "--keep", "0", "--json"), env=environment(home, None), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        collected += len(json.loads(done.stdout)["rows"])
    said = running.communicate(timeout=30)[1]
    assert running.returncode == 0, said
    assert collected, "there was something to collect meanwhile"
    assert digests(home, "beside") == digests(home, "tiny")
    Store(home.store).verify(made(home)[-1])
