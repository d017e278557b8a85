"""Answers that only Math-Verify can compare: what passes, what does not, its settings, and who is to blame when it hangs."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lib.verifiers import math_pool
from lib.verifiers.answer import Answer
from lib.verifiers.math_work import How

HANGS = "9^{9^{9}}"


def outcome(answer, gold, **settings):
    return Answer(**settings).judge([(answer, gold, "stop")])[0].outcome


def processes():
    return [process for process in multiprocessing.active_children() if process.name == "pebble_pool_worker"]


def cpu_seconds():
    """What the pool's processes have used of the processor."""
    math_pool.compare([("x+1", "1+x")], How())
    ticks = (Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13] for process in processes())
    return sum(int(user) + int(system) for user, system in ticks) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("1+x", "x+1"),
        ("(x+1)^2", "x^2+2x+1"),
        ("\\sqrt{12}", "2\\sqrt{3}"),
        ("\\frac{1}{2}\\pi", "\\frac{\\pi}{2}"),
        ("x = 5", "5"),
        ("1024", "2^{10}"),
        ("(-\\infty,3]", "x \\le 3"),
        ("\\begin{pmatrix} 1 & 2 \\end{pmatrix}", "\\begin{pmatrix}1 & \\frac{4}{2}\\end{pmatrix}"),
        ("-5, 5", "\\pm 5"),
        ("10\\sqrt{2}\\text{ units}", "10\\sqrt{2}"),
        ("4a-2", "-2+4a"),
    ],
)
def test_equal_mathematics_is_correct(answer, gold):
    assert outcome(f"\\boxed{{{answer}}}", gold) == "correct"
    assert outcome(f"\\boxed{{{answer}}}", gold, symbolic=False) == "wrong"


@pytest.mark.parametrize(
    ("answer", "gold"),
    [("y+1", "x+1"), ("2\\sqrt{2}", "2\\sqrt{3}"), ("\\frac{1}{0}", "x"), ("\\{1,x\\}", "\\{1,y\\}"), ("x \\le 3", "(3,4)")],
)
def test_other_mathematics_is_wrong(answer, gold):
    assert outcome(f"\\boxed{{{answer}}}", gold) == "wrong"


def test_a_gold_answer_that_cannot_be_read_is_undecided():
    verdict = Answer().judge([("\\boxed{x+3}", "\\begin{cases}x&1\\\\2\\end{cases}", "stop")])[0]
    assert verdict[:2] == ("undecided", "the gold answer cannot be read as mathematics")


def test_the_gold_answer_comes_first():
    interval, inequality = "x \\in [-2,7]", "-2 \\le x \\le 7"
    assert outcome(f"\\boxed{{{interval}}}", inequality) == "correct"
    assert outcome(f"\\boxed{{{inequality}}}", interval) == "wrong"
    assert outcome(f"\\boxed{{{inequality}}}", interval, allow_set_relation_comp=True) == "correct"


def test_every_setting_of_math_verify_counts():
    assert outcome("\\boxed{x+1}", "y+1") == "wrong"
    assert outcome("\\boxed{x+1}", "y+1", strict=False) == "correct"
    assert outcome("\\boxed{3.14}", "\\frac{314159}{100000}", float_rounding=2) == "correct"
    assert outcome("\\boxed{3.14}", "\\frac{314159}{100000}") == "wrong"
    whole = {"reader": "math_verify"}
    assert outcome("The answer is $\\frac{1}{2}$.", "0.5", **whole) == "correct"
    assert outcome("The answer is $\\frac{1}{2}$.", "0.5", **whole, targets=("expr",)) == "wrong"
    assert outcome("The answer is B", "B", **whole, targets=("string",)) == "correct"


def test_one_that_hangs_does_not_spoil_its_neighbours():
    pairs = [(f"x+{i}", f"{i}+x") for i in range(40)]
    pairs.insert(20, ("x+1", HANGS))
    found = math_pool.compare(pairs, How(seconds=1.0))
    assert found[20] == (None, "took longer than 1 seconds")
    assert all(one.equal for i, one in enumerate(found) if i != 20)


def test_equal_pairs_are_compared_once():
    before = cpu_seconds()
    found = math_pool.compare([("x+1", HANGS)] * 50, How(seconds=0.5))
    assert {one.equal for one in found} == {None}
    assert cpu_seconds() - before < 5


def during(pairs, how, act):
    """The comparison's result where `act` is called on the pool's processes while they work."""
    math_pool.compare([("x+1", "1+x")], how)
    timer = threading.Timer(0.3, lambda: [act(process.pid) for process in processes()])
    timer.start()
    found = math_pool.compare(pairs, how)
    timer.join()
    return found


@pytest.mark.slow
def test_a_process_that_is_killed_is_replaced():
    pairs = [("x+1", HANGS), *((f"x+{i}", f"{i}+x") for i in range(30))]
    found = during(pairs, How(seconds=1.0), lambda pid: os.kill(pid, signal.SIGKILL))
    assert found[0].equal is None
    assert all(one.equal for one in found[1:])
    assert processes()


@pytest.mark.slow
def test_a_process_that_no_longer_answers_is_killed():
    found = during([("x+1", HANGS)], How(seconds=0.6), lambda pid: os.kill(pid, signal.SIGSTOP))
    assert found == [(None, "took longer than 0.6 seconds")]
    for process in processes():
        os.kill(process.pid, signal.SIGCONT)
    assert math_pool.compare([("x+1", "1+x")], How()) == [(True, "")]


@pytest.mark.slow
def test_processes_that_were_stopped_while_idle_are_replaced(monkeypatch):
    math_pool.compare([("x+1", "1+x")], How())
    monkeypatch.setattr(math_pool, "STALLED_SECONDS", 25)
    for process in processes():
        os.kill(process.pid, signal.SIGSTOP)
    assert math_pool.compare([("x+2", "2+x")], How()) == [(True, "")]


@pytest.mark.slow
def test_idle_processes_that_were_killed_are_replaced():
    math_pool.compare([("x+1", "1+x")], How())
    for process in processes():
        os.kill(process.pid, signal.SIGKILL)
    time.sleep(0.5)
    assert math_pool.compare([("x+2", "2+x")], How()) == [(True, "")]


def test_it_works_from_any_thread_and_after_a_stop():
    found = []
    threads = [threading.Thread(target=lambda: found.append(outcome("\\boxed{1+x}", "x+1"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    math_pool.stop()
    assert [*found, outcome("\\boxed{1+x}", "x+1")] == ["correct"] * 4


def test_a_script_without_a_guard_may_ask_and_leaves_no_process(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing\nfrom lib.verifiers.answer import Answer\n"
        "print(Answer().judge([(r'\\boxed{1+x}', 'x+1', 'stop')])[0].outcome)\n"
        "print(*[process.pid for process in multiprocessing.active_children()])\n"
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    said, pids = ended.stdout.splitlines()
    assert said == "correct"
    assert pids.split()
    assert [pid for pid in pids.split() if Path(f"/proc/{pid}").exists()] == []
