"""A flow run that failed under a worker and is retried goes on where it failed: nothing done is done again, no round twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lib.campaign import CampaignFolder
from lib.home import Home
from tests.flows.conftest import ROOT, Run, environment, executed

pytestmark = pytest.mark.slow

MORTAL = '''"""A trainer whose process is killed, or held up, while a file says so."""
import os, signal, time
from pathlib import Path
from typing import ClassVar
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.strategy import Strategy

class Mortal(Strategy):
    learns_from: ClassVar[str] = "sft"
    start_from: str = "previous"
    def train(self, models, examples, out, seed, machine):
        from lib import models as m
        place = Path(os.environ["MORTAL"])
        (place / "tries").open("a").write("x")
        if (place / "trained").exists() and (place / "armed").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        while (place / "hold").exists():
            time.sleep(0.1)
        model = m.load_model(models["start"], dtype="float32", device="cpu")
        next(model.parameters()).data.mul_(1.01)
        m.save(model, models["start"], out)
        (place / "trained").touch()
        return {}

SHORT = Independent(n=2, max_new_tokens=4)
RECIPE = Recipe(phases=(Phase(sampler=SHORT, trainer=Mortal()),), evaluators=(PassAtK(k=(1,), sampler=SHORT),), gate=None)
'''

PATIENCE_SECONDS = 240.0


def called(server: str, ask: Callable[[Any], Any]) -> Any:
    """What a call of the Prefect client returns."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    async def go() -> Any:
        async with get_client() as client:
            return await ask(client)

    with temporary_settings({PREFECT_API_URL: server}):
        return asyncio.run(go())


@pytest.fixture
def worker(home: Home, server: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process worker of a pool of its own, which takes over this test's home."""
    keeping = {"PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true"}  # as some have it: then a retry takes a subflow's result for done
    env = environment(
        home, server, MORTAL=str(tmp_path), PREFECT_WORKER_QUERY_SECONDS="1", PREFECT_HOME=str(tmp_path / "prefect"), **keeping
    )
    log = (tmp_path / "worker.log").open("wb")
    words = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "retried", "--type", "process", "--name", "mender"]
    found = subprocess.Popen(words, env=env, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    yield found
    for _ in range(2):  # a worker has ignored a first one
        found.terminate()
        try:
            found.wait(timeout=10)
        except subprocess.TimeoutExpired:
            continue
        return
    os.killpg(found.pid, 9)
    found.wait()


def deployed(server: str, **parameters: Any) -> UUID:
    """A flow run of `improve`, scheduled for now through a deployment of its own."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    async def make(client: Any) -> UUID:
        with contextlib.suppress(ObjectAlreadyExists):  # the worker was faster
            await client.create_work_pool(WorkPoolCreate(name="retried", type="process"))
        flow = await client.create_flow_from_name("improve")
        deployment = await client.create_deployment(
            flow_id=flow, name="retried", entrypoint="flows.improve.improve", path=str(ROOT), work_pool_name="retried"
        )
        return (await client.create_flow_run_from_deployment(deployment, parameters=parameters)).id

    return called(server, make)


def ended(server: str, run: UUID, but: UUID | None = None) -> Any:
    """A flow run's state once it is final, and not the state `but`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        state = called(server, lambda client: client.read_flow_run(run)).state
        if state.is_final() and state.id != but:
            return state
        time.sleep(1)
    raise AssertionError(f"the flow run did not end: {state}")


def wait_for(come: Callable[[], bool]) -> None:
    """Wait until something has come true, or for as long as patience lasts."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not come() and time.monotonic() < deadline:
        time.sleep(0.2)


def retried(server: str, run: UUID) -> None:
    """Retry as the button of the UI does: the run's state is set to a scheduled one named AwaitingRetry."""
    from prefect.states import AwaitingRetry

    called(server, lambda client: client.set_flow_run_state(run, AwaitingRetry(message="Retry from the UI"), force=True))


def subflows(server: str, run: UUID) -> list[tuple[str, str]]:
    """Name and state of the rounds that a flow run called."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId

    chosen = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run]))
    found = called(server, lambda client: client.read_flow_runs(flow_run_filter=chosen))
    return sorted((flow_run.name, flow_run.state.name) for flow_run in found)


@pytest.fixture
def mortal(run: Run, home: Home, model: Path, tmp_path: Path) -> CampaignFolder:
    """A campaign that has begun, with no round yet."""
    (tmp_path / "mortal.py").write_text(MORTAL)
    words = ("--recipe", str(tmp_path / "mortal.py"), "--model", str(model), "--count", "40", "--held-out", "8")
    begun = run("improve", "mortal", *words, "--rounds", "0")
    assert begun.returncode == 0, begun.stderr
    return CampaignFolder(home, "mortal")


@pytest.mark.timeout(900)
def test_a_retried_flow_run_resumes_and_makes_no_round_twice(
    home: Home, server: str, mortal: CampaignFolder, worker: subprocess.Popen[bytes], tmp_path: Path
):
    (tmp_path / "armed").touch()
    run = deployed(server, campaign="mortal", more=2)
    failed = ended(server, run)
    assert failed.is_failed(), failed
    assert (tmp_path / "tries").read_text() == "x" * 4, "once in round 1, three times in round 2: the first try and two more"
    assert [record.round for record in mortal.finished()] == [0, 1]
    before = executed(home)

    (tmp_path / "armed").unlink()
    retried(server, run)
    mended = ended(server, run, but=failed.id)
    assert mended.is_completed(), mended
    assert [record.round for record in mortal.finished()] == [0, 1, 2], "two rounds were asked for, and the first counts"
    assert {record.root_flow_run for record in mortal.finished() if record.round} == {str(run)}
    after = executed(home)
    assert after[: len(before)] == before
    assert after[len(before)] == "mortal r2 main/train", "what was done before stands"
    assert set(Counter(after).values()) == {1}
    assert subflows(server, run) == [("mortal round 1", "Completed"), ("mortal round 2", "Completed"), ("mortal round 2", "Failed")]

    retried(server, run)  # what completed may be retried too, as after a crash between the last round's end and the flow's
    again = ended(server, run, but=mended.id)
    assert again.is_completed(), again
    assert [record.round for record in mortal.rounds()] == [0, 1, 2]
    assert executed(home) == after


@pytest.mark.timeout(900)
def test_a_flow_run_whose_process_was_killed_is_retried_in_the_same_way(
    home: Home, server: str, mortal: CampaignFolder, worker: subprocess.Popen[bytes], tmp_path: Path
):
    (tmp_path / "hold").touch()
    run = deployed(server, campaign="mortal", more=2)
    wait_for((tmp_path / "tries").exists)
    holder = mortal.holder()
    assert holder is not None, (tmp_path / "worker.log").read_text()
    before = executed(home)
    os.kill(int(holder["pid"]), signal.SIGKILL)
    crashed = ended(server, run)
    assert crashed.is_crashed(), crashed
    log = tmp_path / "worker.log"  # Prefect's worker finds it crashed once more, seconds later, and would say it of the retry
    wait_for(lambda: log.read_text().count("Check whether the flow run exceeded its memory") == 2)

    (tmp_path / "hold").unlink()
    retried(server, run)
    mended = ended(server, run, but=crashed.id)
    assert mended.is_completed(), mended
    assert [record.round for record in mortal.finished()] == [0, 1, 2]
    assert executed(home)[len(before)] == "mortal r1 main/train"
    assert set(Counter(executed(home)).values()) == {1}
    assert {("mortal round 1", "Completed"), ("mortal round 2", "Completed")} <= set(subflows(server, run))
