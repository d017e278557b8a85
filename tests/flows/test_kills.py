"""Real kills: of the stage's child at many moments, of the whole flow process at three, and Ctrl-C."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from lib.campaign import CampaignFolder
from lib.errors import ChildCrashed
from lib.home import Home
from lib.job import Job, Label
from lib.problems.countdown import Countdown
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft
from tasks.workshop import Workshop
from tests.flows.conftest import SMALL, Run, command, digests, environment, executed

pytestmark = pytest.mark.slow

ENGINE = {"strategy": "lib.engines.huggingface:Huggingface", "dtype": "float32"}


def make(shop: Workshop, job: Job) -> str:
    key, ingredients = shop.key_of(job)
    found = shop.known(job, key)
    return (found or shop.make(job, key, ingredients)).digest


def work(shop: Workshop, again: list[int]) -> list[str]:
    """Initialise, draw problems, sample, filter nothing, train: every digest, starting anew whenever the child dies."""

    def sure(job: Job) -> str:
        while True:
            try:
                return make(shop, job)
            except ChildCrashed:
                again.append(1)

    label = Label("kills", 1, "main", "stage")
    model = sure(Job("adopt", label, {"files": {"m": "1"}}, outside={"source": os.environ["TINY_MODEL"]}))
    settings: dict[str, Any] = {"source": Countdown().model_dump(mode="json"), "split": "train", "count": 300, "window": 1}
    problems = sure(Job("problems", label, settings))
    sampling = {"sampler": Independent(n=8).model_dump(mode="json"), "engine": ENGINE}
    made = [model, problems]
    shards = [
        sure(Job("sample", label, sampling, {"problems": (ref,)}, {"policy": model}, 1, True)) for ref in shop.store.folders(problems)
    ]
    verdicts = [
        sure(Job("verify", label, {"verifiers": []}, {"problems": (ref,), "completions": (shard,)}))
        for ref, shard in zip(shop.store.folders(problems), shards, strict=True)
    ]
    given = {"problems": tuple(shop.store.folders(problems)), "completions": tuple(shards), "verdicts": tuple(verdicts)}
    examples = sure(Job("filter", label, {"filters": []}, given))
    trainer = {"trainer": Sft(steps=60, batch_size=16).model_dump(mode="json")}
    made += [*shards, *verdicts, examples, sure(Job("train", label, trainer, {"examples": (examples,)}, {"start": model}, 2, True))]
    return made


def test_the_child_killed_at_fifteen_moments_changes_nothing(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TINY_MODEL", str(model))
    undisturbed = Workshop(Home(tmp_path / "calm"))
    started = time.monotonic()
    wanted = work(undisturbed, [])
    seconds = time.monotonic() - started
    undisturbed.close()
    dice, kills, again = random.Random(7), 0, []  # the moments are seeded; what runs at them is the machine's affair
    rounds = 0
    while kills < 15:
        rounds += 1
        shop = Workshop(Home(tmp_path / f"killed{rounds}"))
        over = threading.Event()
        killer = threading.Thread(target=lambda shop=shop, over=over: strike(shop, over, dice, seconds))
        before = len(again)
        killer.start()
        assert work(shop, again) == wanted
        over.set()
        killer.join()
        kills += len(again) - before
        assert not list((shop.home.store / "tmp").iterdir())
        shop.close()
        assert rounds < 60


def strike(shop: Workshop, over: threading.Event, dice: random.Random, seconds: float) -> None:
    """Kill whatever child works now, again and again, until the work is over; at most three times."""
    for _ in range(3):
        if over.wait(dice.uniform(0.05, 0.6) * seconds):
            return
        for session in shop._sessions.values():
            child = session._child
            if child is not None and session._running.locked():
                os.kill(child.pid, signal.SIGKILL)


WORDS = ("improve", "killed", "--count", "300", "--held-out", "20", "--warm-steps", "60", "--set", "trainer.steps=40", "--rounds", "1")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, server: str) -> Home:
    """The same campaign, undisturbed."""
    home = Home(tmp_path_factory.mktemp("calm"))
    ended = subprocess.run(command(home, *WORDS), env=environment(home, server), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return home


@pytest.mark.parametrize("stage", ["base/initialise", "main/sample", "main/train"])
def test_the_flow_killed_anywhere_is_continued_by_the_same_command(run: Run, home: Home, calm: Home, server: str, stage: str):
    flow = subprocess.Popen(command(home, *WORDS), env=environment(home, server), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    await_stage(home, flow, stage)
    children = psutil.Process(flow.pid).children(recursive=True)
    flow.send_signal(signal.SIGKILL)
    flow.wait()
    _gone, there = psutil.wait_procs(children, timeout=15)
    alive = [
        child for child in there if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    ]  # which has ended, and is not reaped
    assert not alive, "a child outlived its flow"
    before = executed(home)
    ended = run("improve", "killed") if (home.campaigns / "killed" / "campaign.json").exists() else run(*WORDS)
    assert ended.returncode == 0, ended.stderr
    assert digests(home, "killed") == digests(calm, "killed")
    redone = [label for label in executed(home)[len(before) :] if label in before]
    assert redone == []  # what was published before the kill is not made again


def test_a_flow_whose_child_is_killed_starts_another_and_ends_the_same(home: Home, calm: Home, server: str):
    flow = subprocess.Popen(command(home, *WORDS), env=environment(home, server), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    await_stage(home, flow, "main/train")
    leaders = [p for p in psutil.Process(flow.pid).children(recursive=True) if os.getsid(p.pid) == p.pid]
    assert leaders, "no child leads a session of its own"
    for child in leaders:
        child.kill()
    assert flow.wait(timeout=240) == 0
    assert digests(home, "killed") == digests(calm, "killed")


BROKEN = '''"""A trainer that fails until told otherwise."""
import os
from typing import ClassVar
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.strategy import Strategy

class Fragile(Strategy):
    learns_from: ClassVar[str] = "sft"
    start_from: str = "previous"
    def train(self, models, examples, out, seed, machine):
        from lib import models as m
        if os.environ.get("BREAK"):
            raise ValueError("broken on purpose")
        model = m.load_model(models["start"], dtype="float32", device="cpu")
        next(model.parameters()).data.mul_(1.01)
        m.save(model, models["start"], out)
        return {}

RECIPE = Recipe(phases=(Phase(sampler=Independent(n=2), trainer=Fragile()),), evaluators=(PassAtK(k=(1,), sampler=Independent(n=2)),))
'''


def test_after_a_failure_in_train_only_train_and_evaluate_run_again(run: Run, home: Home, model: Path, tmp_path: Path):
    (tmp_path / "fragile.py").write_text(BROKEN)
    words = ("improve", "--recipe", str(tmp_path / "fragile.py"), "--model", str(model), "--count", "40", "--held-out", "8")
    failed = run(*words, "--rounds", "1", BREAK="1")
    assert failed.returncode == 1
    assert failed.stderr.strip().splitlines()[-1].startswith("roundhouse: ")
    assert "broken on purpose" in failed.stderr
    before = executed(home)
    assert before[-1] == "fragile r1 main/filter"
    ended = run("improve", "fragile")
    assert ended.returncode == 0, ended.stderr
    after = executed(home)[len(before) :]
    assert after[0] == "fragile r1 main/train"
    assert all(label.startswith("fragile r1 evaluate/") or " evaluate/" in label for label in after[1:])
    assert not [label for label in after if label in before]


def await_stage(home: Home, flow: subprocess.Popen[bytes], stage: str) -> None:
    """Until the flow works at a stage of its first round, or (base) has just begun."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and flow.poll() is None:
        progress = home.campaigns / "killed" / "progress.json"
        if progress.exists():
            now = json.loads(progress.read_text() or "{}")
            if now.get("stage") == stage and (stage.startswith("base/") or now.get("round") == 1):
                return
        time.sleep(0.01)
    raise AssertionError(f"the campaign never came to {stage}")


def test_an_interrupt_stops_in_one_line_and_the_same_command_goes_on(run: Run, home: Home, server: str, model: Path):
    words = ("improve", "stopped", "--model", str(model), "--recipe", "no_filter", "--set", "trainer.replay=[]", *SMALL, "--rounds", "1")
    words = (*words, "--set", "trainer.steps=4000")  # long enough to ask twice who holds it, on a busy machine too
    flow = subprocess.Popen(command(home, *words), env=environment(home, server), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not (home.campaigns / "stopped" / "campaign.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    held = run("improve", "stopped")
    assert held.returncode == 1
    assert "is being run by process" in held.stderr
    flow.send_signal(signal.SIGINT)
    _, stderr = flow.communicate(timeout=60)
    assert flow.returncode == 130, stderr
    assert stderr.strip().splitlines()[-1] == "roundhouse: stopped; the same command continues"
    assert CampaignFolder(home, "stopped").holder() is None
    ended = run("improve", "stopped")
    assert ended.returncode == 0, ended.stderr
    assert CampaignFolder(home, "stopped").test()


PASSED_OVER = """
import signal, time
from prefect import flow
from lib.interrupts import insisted

@flow(on_completion=[lambda *_: signal.raise_signal(signal.SIGINT)])
def measured():
    return 1

with insisted([signal.SIGINT]) as interrupts:
    measured()
    print("Prefect went on:", interrupts.came, flush=True)
    time.sleep(60)
"""


def test_an_interrupt_as_a_flow_ends_which_prefect_passes_over_is_raised_again(home: Home, server: str):
    ended = subprocess.run([sys.executable, "-c", PASSED_OVER], env=environment(home, server), capture_output=True, text=True, timeout=50)
    assert ended.stdout == "Prefect went on: True\n"
    assert ended.returncode == -signal.SIGINT, ended.stderr
