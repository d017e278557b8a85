from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from lib.forkserver import Child, start_server

HELPERS = Path(__file__).parent / "stages_for_tests"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HELPERS))


def child(argument):
    from answering import answer

    return Child(answer, argument)


def test_a_child_answers_and_its_exit_code_comes_back():
    one = child("hello")
    assert one.receive() == "hello"
    assert not one.has_ended()
    one.connection.send("go")
    with pytest.raises(EOFError):
        one.receive()
    assert one.reap() == 0


def test_the_last_words_of_a_child_that_has_ended_are_heard():
    one = child("last words")
    one.connection.send("go")
    while not one.has_ended():
        time.sleep(0.01)
    assert one.receive() == "last words"
    one.reap()


def test_waiting_stops_at_the_deadline():
    one = child("hello")
    one.receive()
    with pytest.raises(TimeoutError):
        one.receive(time.monotonic() + 0.1)
    assert one.reap() == -9


def test_our_main_module_is_put_back_after_a_start():
    before = sys.modules["__main__"]
    child("hello").reap()
    assert sys.modules["__main__"] is before


def test_a_childs_main_module_is_not_that_of_its_owner(tmp_path):
    from processes import own

    stats, _ = own("modules", tmp_path, {}).communicate(timeout=30)
    assert json.loads(stats)["main"] is None  # owner.py itself would have a file


def test_starting_the_server_twice_is_starting_it_once():
    start_server()
    begun = time.monotonic()
    start_server(preload=())
    assert time.monotonic() - begun < 1


def test_a_process_that_forgets_its_child_ends_all_the_same(tmp_path):
    from processes import own

    owner = own("forget", tmp_path, {})
    _, noise = owner.communicate(timeout=30)
    assert owner.returncode == 0, noise


def test_what_could_not_be_preloaded_is_said(tmp_path):
    from processes import own

    _, noise = own("echo", tmp_path, {}).communicate(timeout=30)
    assert "imported late, so every stage starts slowly: torch, transformers, trl" in noise
