"""The engine over a server that fails: what is asked again, what becomes an error, and what no crash may lose."""

import logging
import socket
import threading
import time

import pytest

from lib.engine_kinds import Keeping
from lib.engines.openai_server import OpenaiServer
from lib.errors import ServerGone, UserError
from lib.protocols import Machine
from lib.seeds import seed_of
from tests.model_server import Faulty, running
from tests.server_questions import NAME, finishes, opened, sample


@pytest.mark.parametrize("faults", [["503"], ["429", "429"], ["500", "malformed", "text"], ["reset", "reset"], ["none", "408"]])
def test_what_may_pass_is_asked_again(server, state, served_folder, faults):
    engine = opened(server, served_folder, endpoint="completions", concurrency=1)
    state.faults = list(faults)
    results = sample(engine)
    assert finishes(results) == finishes(sample(engine))
    assert len(state.seen) == 10 + len(faults)


@pytest.mark.parametrize("fault", ["few", "many"])
def test_a_wrong_number_of_answers_is_set_right(server, state, served_folder, fault):
    engine = opened(server, served_folder, endpoint="completions", concurrency=1)
    state.faults = [fault]
    results = sample(engine)
    assert [len(group) for group in results] == [3] * 5
    assert [body["n"] for body in state.seen[:2]] == ([3, 1] if fault == "few" else [3, 3])
    assert (state.seen[1]["seed"] == seed_of(0, 2) % 2**31) == (fault == "few"), "the missing one has the seed of its own place"


def test_a_storm_of_refusals_passes(server, state, served_folder):
    state.faults = ["429"] * 12
    results = sample(opened(server, served_folder, endpoint="completions", attempts=8))
    assert {finish for group in finishes(results) for finish in group} <= {"stop", "length"}


def test_a_server_that_says_when_is_not_asked_before(server, state, served_folder):
    state.faults, state.retry_after = ["429"], "0.6"
    sample(opened(server, served_folder, endpoint="completions", concurrency=1))
    assert state.times[1] - state.times[0] >= 0.6


@pytest.mark.parametrize("fault", ["400", "500", "malformed", "reset"])
def test_one_request_that_fails_for_good_becomes_errors_and_the_others_stand(server, state, served_folder, fault, caplog):
    state.faults = [fault] * (1 if fault == "400" else 4)
    with caplog.at_level(logging.WARNING):
        results = sample(opened(server, served_folder, endpoint="completions", concurrency=1))
    assert finishes(results)[0] == ["error"] * 3
    assert "error" not in [finish for group in finishes(results)[1:] for finish in group]
    assert (results[0][0].ids, results[0][0].logprobs, results[0][0].text) == ([], [], "")
    assert "1 requests" in caplog.text


def test_answers_that_came_before_a_failure_stand(server, state, served_folder):
    state.faults = ["few", "400"]
    results = sample(opened(server, served_folder, endpoint="completions", concurrency=1))
    assert finishes(results)[0][2] == "error"
    assert "error" not in finishes(results)[0][:2]


@pytest.mark.parametrize(("fault", "error"), [("400", UserError), ("500", ServerGone), ("malformed", ServerGone)])
def test_if_every_request_fails_there_is_one_error_of_one_line(server, state, served_folder, fault, error):
    state.faults = [fault] * 100
    with pytest.raises(error, match="answered none of 5 requests") as raised:
        sample(opened(server, served_folder, endpoint="completions"))
    assert "\n" not in str(raised.value)


def test_a_slow_answer_is_given_up_and_asked_again(server, state, served_folder):
    state.slow_seconds = 1.5
    engine = opened(server, served_folder, endpoint="completions", timeout_seconds=0.3, attempts=2)
    with pytest.raises(ServerGone, match="ReadTimeout"):
        sample(engine)
    state.slow_seconds = 0.0
    assert len(sample(engine)) == 5


def test_nobody_at_the_address_is_said_so(served_folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        nobody = OpenaiServer(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}", pause_seconds=0.01, attempts=2)
        with pytest.raises(ServerGone, match=r"no server answers at http://127.0.0.1.*/v1"):
            sample(nobody.open(served_folder, NAME, Machine()))


def test_what_a_crash_left_is_not_asked_again(server, state, served_folder, tmp_path):
    first = opened(server, served_folder, endpoint="completions", concurrency=1)
    first.keep_in(tmp_path / "work")
    state.faults = ["fine", "fine", "400"]
    before = sample(first)
    asked_before = len(state.seen)
    again = opened(server, served_folder, endpoint="completions", concurrency=1)
    again.keep_in(tmp_path / "work")
    spool = tmp_path / "work" / "answers.jsonl"
    spool.write_text(spool.read_text() + '{"asked": "torn')
    after = sample(again)
    assert isinstance(again, Keeping)
    assert len(state.seen) - asked_before == 1, "only the request that failed"
    assert [a for a, b in zip(after, before, strict=True) if a == b] == [after[0], after[1], after[3], after[4]]
    assert "error" not in [finish for group in finishes(after) for finish in group]
    assert sample(again, max_new_tokens=5) != after, "another law is another question"


def test_a_server_that_dies_and_comes_back_loses_nothing(served_folder):
    state = Faulty(slow_seconds=0.05)
    with running(served_folder, NAME, state) as server:
        engine = opened(server, served_folder, endpoint="completions", concurrency=1, attempts=10, pause_seconds=0.1)

        def die_and_return() -> None:
            while len(state.seen) < 2:
                time.sleep(0.01)
            server.stop()
            time.sleep(0.3)
            server.start()

        dying = threading.Thread(target=die_and_return)
        dying.start()
        results = sample(engine)
        dying.join()
    assert {finish for group in finishes(results) for finish in group} <= {"stop", "length"}


def test_a_server_that_stays_away_keeps_what_it_answered(served_folder, tmp_path):
    state = Faulty()
    with running(served_folder, NAME, state) as server:
        engine = opened(server, served_folder, endpoint="completions", concurrency=1, attempts=2)
        engine.keep_in(tmp_path)

        def die(done: int, total: int) -> None:
            if done == 6:
                server.stop()

        with pytest.raises(ServerGone, match="finished answers of this shard are kept"):
            sample(engine, report=die)
        server.start()
        seen = len(state.seen)
        assert "error" not in [finish for group in finishes(sample(engine)) for finish in group]
        assert len(state.seen) - seen == 3
