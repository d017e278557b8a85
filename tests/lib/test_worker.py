"""The child session in its ordinary life. The first test waits for the server's imports; the others share it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib.errors import ChildCrashed, RoundhouseError, StageFailed, UnknownName, UserError
from lib.protocols import Machine, Work
from lib.worker import Session

HELPERS = str(Path(__file__).parent / "stages_for_tests")


@pytest.fixture(autouse=True)
def _helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HELPERS)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session(lock_folder=tmp_path / "locks") as session:
        yield session


def work(settings: dict[str, Any] | None = None, seed: int = 7) -> Work:
    return Work(settings or {}, {}, {}, seed, Machine())


def test_a_stage_runs_in_another_process_and_its_stats_come_back(session, tmp_path):
    result = session.run("tiny_stages:echo", work(seed=41), tmp_path / "out")
    assert result.stats["seed"] == 41 and result.stats["device"] == "cpu"
    assert result.stats["pid"] != os.getpid()
    assert (tmp_path / "out" / "seed.txt").read_text() == "41"
    assert result.micro_batch is None


def test_trainers_are_preloaded_and_prefect_is_not(session, tmp_path):
    import prefect  # noqa: F401  # as in a flow's process, which the child must not inherit

    stats = session.run("tiny_stages:modules", work(), tmp_path / "out").stats
    assert stats["loaded"] == {
        "torch": True,
        "transformers": True,
        "trl.trainer.sft_trainer": True,
        "trl.trainer.dpo_trainer": True,
        "peft": True,
        "prefect": False,
        "mlflow": False,
    }


def test_the_child_leads_its_own_group_and_session(session, tmp_path):
    stats = session.run("tiny_stages:leads_its_group", work(), tmp_path / "out").stats
    assert stats["pid"] == stats["group"] == stats["session"]


def test_items_share_one_child_and_what_it_has_loaded(session, tmp_path):
    loads = [session.run("tiny_stages:load_once", work(), tmp_path / "out").stats["loads"] for _ in range(3)]
    assert loads == [1, 2, 3]


def test_release_lets_the_child_go_and_the_next_run_starts_another(session, tmp_path):
    first = session.run("tiny_stages:echo", work(), tmp_path / "out").stats["pid"]
    session.release()
    assert session.run("tiny_stages:echo", work(), tmp_path / "out").stats["pid"] != first


def test_two_sessions_share_one_server(tmp_path):
    servers = set()
    for _ in range(2):
        with Session(lock_folder=tmp_path) as session:
            servers.add(session.run("tiny_stages:echo", work(), tmp_path / "out").stats["server"])
    assert len(servers) == 1


def test_progress_is_reported_throttled_and_ends_at_the_total(session, tmp_path):
    seen: list[tuple[int, int]] = []
    session.run(
        "tiny_stages:count",
        work({"total": 100, "pause": 0.005}),
        tmp_path / "out",
        report=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (100, 100)
    assert 2 <= len(seen) <= 40
    assert seen == sorted(seen)


def test_a_stage_says_what_it_cost(session, tmp_path):
    usage = session.run("tiny_stages:burn", work(), tmp_path / "out").usage
    assert 0.2 <= usage.cpu_seconds < 2
    assert usage.max_rss_bytes > 50e6  # torch alone is more
    assert usage.cuda_max_bytes == 0


def test_the_environment_of_a_session_reaches_its_child_alone(tmp_path):
    settings = {"name": "ROUNDHOUSE_PROBE"}
    with Session(lock_folder=tmp_path, environment={"ROUNDHOUSE_PROBE": "here", "OMP_NUM_THREADS": "2"}) as session:
        assert session.run("tiny_stages:variable", work(settings), tmp_path / "out").stats == {"value": "here", "threads": 2}
    with Session(lock_folder=tmp_path) as session:
        assert session.run("tiny_stages:variable", work(settings), tmp_path / "out").stats == {"value": None, "threads": 1}


def test_a_users_own_strategies_load_from_the_code_root(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text("from lib.strategy import Strategy\nclass Mine(Strategy):\n    pass\n")
    with Session(lock_folder=tmp_path, code_root=tmp_path / "code") as session:
        assert session.run("tiny_stages:user_module", work(), tmp_path / "out").stats == {"name": "Mine"}
    with Session(lock_folder=tmp_path) as session, pytest.raises(UserError, match="neither in lib nor in the campaign"):
        session.run("tiny_stages:user_module", work(), tmp_path / "out")


def test_a_session_works_from_any_thread_and_threads_take_turns(session, tmp_path):
    results: list[int] = []

    def one() -> None:
        results.append(session.run("tiny_stages:load_once", work(), tmp_path / "out").stats["loads"])

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [1, 2, 3]


def test_a_second_session_waits_for_the_only_slot_and_names_its_holder(tmp_path, caplog):
    from processes import await_that, pids_in

    limit = 2.0

    def hold() -> None:
        with pytest.raises(ChildCrashed):
            first.run("tiny_stages:sleep", work({"marker": str(tmp_path / "holder"), "seconds": 250}), tmp_path / "a")

    def let_go() -> None:
        await_that(lambda: "waiting for cpu" in caplog.text, seconds=120)
        time.sleep(limit)
        first.close()

    with Session(lock_folder=tmp_path, slots=1) as first:
        holding, waiting = threading.Thread(target=hold), threading.Thread(target=let_go)
        holding.start()
        holder, _ = pids_in(tmp_path / "holder")
        waiting.start()
        with Session(lock_folder=tmp_path, slots=1) as session:
            session.run("tiny_stages:echo", work(), tmp_path / "b", timeout_seconds=limit)  # the wait does not count
        waiting.join()
        holding.join()
    assert f"waiting for cpu, held by pid {holder}" in caplog.text


def test_work_that_needs_no_device_takes_no_slot(tmp_path):
    with Session(lock_folder=tmp_path, slots=1) as holder, Session(lock_folder=tmp_path, slots=1, needs_device=False) as other:
        holder.run("tiny_stages:echo", work(), tmp_path / "a")
        assert other.run("tiny_stages:echo", work(), tmp_path / "b").stats["seed"] == 7


def test_work_that_needs_no_device_is_kept_from_it(tmp_path):
    with Session(lock_folder=tmp_path, device="cuda:0", needs_device=False) as session:
        assert session.run("tiny_stages:echo", work(), tmp_path / "out").stats["device"] == "cpu"
    with Session(lock_folder=tmp_path, device="cuda:0") as session:
        assert session.run("tiny_stages:echo", work(), tmp_path / "out").stats["device"] == "cuda:0"


@pytest.mark.parametrize("function", ["tiny_stages:nothing", "no_such_module:run"])
def test_a_function_that_does_not_import_is_named(session, tmp_path, function):
    with pytest.raises(StageFailed, match=f"no stage function '{function}': .*no"):
        session.run(function, work(), tmp_path / "out")


def test_an_exception_is_one_line_with_the_childs_traceback_beside_it(session, tmp_path):
    with pytest.raises(StageFailed, match="ZeroDivisionError") as caught:
        session.run("tiny_stages:divide", work({"by": 0}), tmp_path / "out")
    assert str(caught.value) == "tiny_stages:divide: ZeroDivisionError: division by zero"
    assert 'return {"half": 1 / work.settings["by"]}' in caught.value.__notes__[0]
    assert session.run("tiny_stages:divide", work({"by": 2}), tmp_path / "out").stats == {"half": 0.5}


def test_our_own_errors_keep_class_and_message(session, tmp_path):
    with pytest.raises(UnknownName, match=r"no sampler 'independant'; did you mean 'independent'\?"):
        session.run("tiny_stages:wrong_name", work(), tmp_path / "out")


def test_an_error_class_of_a_users_own_arrives_as_its_nearest_of_ours(session, tmp_path):
    with pytest.raises(UserError, match=r"^the puzzle book is empty$") as caught:
        session.run("tiny_stages:own_error", work(), tmp_path / "out")
    assert type(caught.value).__name__ == "BadProblems"


def test_a_full_disk_is_one_line_that_says_what_to_do(session, tmp_path):
    with pytest.raises(UserError, match=r"^no space left on the disk .*free some and run the same command again$"):
        session.run("tiny_stages:fill_disk", work(), tmp_path / "out")


def test_stats_that_cannot_travel_are_a_failure_of_the_stage(session, tmp_path):
    with pytest.raises(StageFailed, match=r"tiny_stages:unsendable: .*pickle"):
        session.run("tiny_stages:unsendable", work(), tmp_path / "out")


def test_a_failing_stage_ends_in_spite_of_the_threads_it_left(session, tmp_path):
    with pytest.raises(StageFailed, match="done for"):
        session.run("tiny_stages:threads_left", work(), tmp_path / "out", timeout_seconds=20)


def test_a_closed_session_refuses_work(session, tmp_path):
    session.close()
    with pytest.raises(RoundhouseError, match="the session is closed"):
        session.run("tiny_stages:echo", work(), tmp_path / "out")
