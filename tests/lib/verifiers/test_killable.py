import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.errors import ChildCrashed
from lib.verifiers.killable import ROOT, Killable

MODULE = "tests.lib.verifiers.killable_child"
OWNER = """
import sys
sys.path.insert(0, sys.argv[1])
from lib.verifiers.killable import Killable
print(Killable(sys.argv[2]).ask({"what": "pid"}, 30)["pid"], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def child():
    with Killable(MODULE) as made:
        yield made


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_one_child_answers_one_question_after_the_other(child):
    first, second = (child.ask({"what": "pid", "said": text}, 30) for text in ("a\nb", "\ud800\x00"))
    assert first["pid"] == second["pid"] and [first["said"], second["said"]] == ["a\nb", "\ud800\x00"]


def test_a_child_that_does_not_answer_is_killed_and_the_next_question_has_another(child):
    first = child.ask({"what": "pid"}, 30)["pid"]
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        child.ask({"what": "sleep"}, 0.2)
    assert time.monotonic() - start < 5 and not is_alive(first)
    assert child.ask({"what": "pid"}, 30)["pid"] != first


def test_a_child_that_dies_is_told_apart_and_replaced(child):
    with pytest.raises(EOFError):
        child.ask({"what": "die"}, 30)
    assert child.ask({"what": "pid"}, 30)["pid"] > 0


def test_a_child_has_none_of_our_environment(child, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "x")
    assert "SECRET_KEY" not in child.ask({"what": "pid"}, 30)["environment"]


def test_a_child_holds_no_more_than_it_is_given_and_writes_no_file(child, tmp_path):
    assert child.ask({"what": "hold", "bytes": 10 << 20}, 30) == {"held": 10 << 20}
    assert child.ask({"what": "hold", "bytes": 300 << 20}, 30) == {"held": None}
    assert child.ask({"what": "write", "path": str(tmp_path / "x")}, 30) == {"error": "OSError"}
    assert not (tmp_path / "x").exists() or (tmp_path / "x").read_bytes() == b""


def test_what_a_child_prints_is_no_answer(child):
    assert "pid" in child.ask({"what": "print"}, 30)


def test_a_child_ends_when_its_parent_is_killed():
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(ROOT), MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid = int(owner.stdout.readline())
    assert is_alive(pid)
    owner.kill()
    owner.communicate()
    end = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_alive(pid)


def test_a_child_that_cannot_start_is_an_error_that_says_how_to_look():
    with pytest.raises(ChildCrashed, match=r"import lib\.nothing"), Killable("lib.nothing") as child:
        child.ask({"what": "pid"}, 30)


def test_a_stopped_child_is_gone():
    with Killable(MODULE) as child:
        pid = child.ask({"what": "pid"}, 30)["pid"]
    assert not is_alive(pid)
