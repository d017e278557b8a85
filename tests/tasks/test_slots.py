"""Slots against a real server: what is leased, what comes back after a kill, and what a lost lease stops."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib.errors import SlotLost, UserError
from lib.home import Home
from lib.job import Job, Label
from lib.problems.countdown import Countdown
from lib.samplers.independent import Independent
from lib.small_model import SmallLlama
from tasks import slots
from tasks.slots import LEASE_SECONDS, Slot
from tasks.workshop import Workshop
from tests.prefect_server import PrefectServer, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]

HOLDER = """
import sys
from tasks.slots import Slot
slot = Slot(sys.argv[1], lambda: print("stopped", flush=True))
slot.take()
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with serving(tmp_path_factory.mktemp("prefect")) as server:
        yield server


@pytest.fixture
def at(served: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> PrefectServer:
    """The server, for this process and those that it starts."""
    monkeypatch.setenv("PREFECT_API_URL", served.api)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return served


def nothing() -> None:
    """There is no child to stop."""


def holder(name: str) -> subprocess.Popen[str]:
    """Another process that holds a slot."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    return process


def eventually(is_so: object, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_without_a_name_nothing_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    slot = Slot("", nothing)
    slot.take()
    assert not slot.is_held
    slot.give_back()


def test_a_limit_that_is_not_there_or_has_no_slot_is_one_line_with_the_remedy(at: PrefectServer):
    with pytest.raises(UserError, match=r"'nowhere', .* does not have; make it: prefect gcl create nowhere --limit 1$"):
        Slot("nowhere", nothing).take()
    at.make_limit("closed", 0)
    with pytest.raises(UserError, match=r"'closed' .* has no slot at all; give it one: prefect gcl update closed --limit 1$"):
        Slot("closed", nothing).take()


def test_a_slot_is_held_by_one_at_a_time_and_taken_twice_is_taken_once(at: PrefectServer):
    at.make_limit("turns")
    first, second = Slot("turns", nothing), Slot("turns", nothing)
    first.take()
    first.take()
    assert at.taken("turns") == 1
    waiting = threading.Thread(target=second.take)
    waiting.start()
    waiting.join(3)
    assert not second.is_held
    first.give_back()
    waiting.join(60)
    assert second.is_held
    assert not first.is_held
    second.give_back()
    assert at.taken("turns") == 0


def test_a_slot_outlives_the_server_and_comes_back_after_its_holder_was_killed(at: PrefectServer):
    at.make_limit("killed")
    victim = holder("killed")
    at.signal(signal.SIGKILL)
    at.start()
    assert at.taken("killed") == 1
    victim.kill()
    assert "stopped" not in victim.communicate()[0], "the holder lost its lease while the server was away"
    began = time.monotonic()
    slot = Slot("killed", nothing)
    slot.take()
    seconds = time.monotonic() - began
    print(f"the slot came back {seconds:.0f} s after the kill")
    slot.give_back()
    assert at.taken("killed") == 0
    assert seconds < 2 * LEASE_SECONDS


def test_a_holder_stops_while_its_lease_still_stands_if_the_server_does_not_answer(at: PrefectServer, monkeypatch: pytest.MonkeyPatch):
    at.make_limit("silent")
    monkeypatch.setattr(slots, "RENEW_SECONDS", 2.0)
    monkeypatch.setattr(slots, "MARGIN_SECONDS", LEASE_SECONDS - 10)  # so that the test need not wait for most of a minute
    stopped: list[float] = []
    slot = Slot("silent", lambda: stopped.append(time.monotonic()))
    slot.take()
    try:
        at.signal(signal.SIGSTOP)
        silent = time.monotonic()
        eventually(lambda: stopped, 50)
        assert slot.was_lost
        assert stopped[0] - silent < LEASE_SECONDS
    finally:
        at.signal(signal.SIGCONT)
    eventually(at.answers, 60)
    slot.give_back()
    told = len(stopped)
    time.sleep(1)
    assert len(stopped) == told, "it is stopped again after it was given back"


def test_a_stage_whose_lease_is_lost_is_stopped_and_the_next_try_takes_another_slot(
    at: PrefectServer, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    at.make_limit("lost")
    monkeypatch.setenv("ROUNDHOUSE_SLOT", "lost")
    monkeypatch.setattr(slots, "RENEW_SECONDS", 2.0)
    shop = Workshop(home)
    try:
        long, short = sampling(shop, 20_000), sampling(shop, 2)
        assert at.taken("lost") == 0, "a stage that needs no device took a slot"

        def revoke() -> None:
            eventually(lambda: shop._slot.is_held, 120)
            at.ask("/v2/concurrency_limits/decrement-with-lease", lease_id=str(shop._slot._lease._id))

        threading.Thread(target=revoke).start()
        key, ingredients = shop.key_of(long)
        with pytest.raises(SlotLost, match="the lease of its slot of 'lost' was lost"):
            shop.make(long, key, ingredients)
        assert at.taken("lost") == 0
        key, ingredients = shop.key_of(short)
        made = shop.make(short, key, ingredients)
        assert at.taken("lost") == 1
        shop.stand_back()
        assert at.taken("lost") == 0
        assert shop.make(short, key, ingredients) == made
        assert at.taken("lost") == 0, "what is in the store already took a slot"
    finally:
        shop.close()


def sampling(shop: Workshop, n: int) -> Job:
    """A job that samples n completions of each of 40 problems from a tiny model."""
    label = Label("slots", 1, "main", "stage")

    def made(kind: str, settings: dict[str, Any]) -> str:
        job = Job(kind, label, settings)
        key, ingredients = shop.key_of(job)
        return (shop.known(job, key) or shop.make(job, key, ingredients)).digest

    tiny = SmallLlama(hidden_size=16, layers=1, heads=2, intermediate_size=32)
    model = made("initialise", {"model": tiny.model_dump(mode="json")})
    problems = made("problems", {"source": Countdown().model_dump(mode="json"), "split": "train", "count": 40, "window": 1})
    settings = {"sampler": Independent(n=n).model_dump(mode="json"), "engine": {"strategy": "lib.engines.huggingface:Huggingface"}}
    return Job("sample", label, settings, {"problems": tuple(shop.store.folders(problems))}, {"policy": model}, 1, needs_device=True)
