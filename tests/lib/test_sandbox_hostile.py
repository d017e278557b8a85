import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from lib.verifiers.code import Code
from tests.sandboxing import needs_walls

pytestmark = needs_walls

PROGRAMS = Path(__file__).with_name("hostile_programs.txt").read_text(encoding="utf-8")
SHORT = Code(cpu_seconds=2, wall_seconds=6, memory_mb=256)
"""Memory is small against the seconds: a slow machine, too, fills it before its time is up."""
GOOD = "def f(x):\n    return 2 * x\n"


def judge(program, tests="assert f(3) == 6", code=SHORT):
    return code.judge([(program, json.dumps({"test_list": [tests]}), "stop")])[0]


def programs(section):
    """The programs of a section with their tests and the reason they must get."""
    (text,) = [part for part in PROGRAMS.split("\n## ") if part.startswith(f"{section}:")]
    for entry in text.split("\n### ")[1:]:
        name, reason, body = entry.split("\n", 2)
        program, _, tests = body.partition("\n--- tests\n")
        yield pytest.param(program + "\n", tests or "assert f(3) == 6", reason.removeprefix("=> "), id=name)


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """A file, a port and a variable that no program may reach."""
    canary = Path.home() / f".roundhouse-canary-{os.getpid()}"
    canary.write_text("canary")
    os.environ["ROUNDHOUSE_CANARY"] = "canary"
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {"CANARY": str(canary), "PORT": str(server.getsockname()[1]), "SECRET": "ROUNDHOUSE_CANARY"}
    del os.environ["ROUNDHOUSE_CANARY"]
    canary.unlink()


def comes_to_nothing(program, tests, reason, outside):
    """Whether the next program is served, after this one was wrong for this reason and in time."""
    for word, value in outside.items():
        program = program.replace(word, value)
    begun = time.monotonic()
    judgement = judge(program, tests)
    assert judgement.outcome == "wrong", judgement
    assert re.match(reason, judgement.reason), judgement
    assert time.monotonic() - begun < 30
    return judge(GOOD).outcome == "correct"


def test_there_are_enough_of_them():
    assert len([name for section in ("cheats", "escapes", "hangs", "tricks") for name in programs(section)]) > 60


@pytest.mark.parametrize(("program", "tests", "reason"), programs("cheats"))
def test_a_cheat_is_wrong_and_the_next_program_is_served(program, tests, reason, outside):
    assert comes_to_nothing(program, tests, reason, outside)


@pytest.mark.parametrize(("program", "tests", "reason"), programs("tricks"))
def test_no_answer_but_the_right_value_passes(program, tests, reason, outside):
    assert comes_to_nothing(program, tests, reason, outside)


@pytest.mark.parametrize(("program", "tests", "reason"), programs("escapes"))
def test_an_escape_fails_and_the_next_program_is_served(program, tests, reason, outside):
    assert comes_to_nothing(program, tests, reason, outside)


@pytest.mark.slow
@pytest.mark.parametrize(("program", "tests", "reason"), programs("hangs"))
def test_a_hanging_program_is_stopped_and_the_next_is_served(program, tests, reason, outside):
    assert comes_to_nothing(program, tests, reason, outside)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("(" * 40_000 + ")" * 40_000, "failed: SyntaxError"),
        ("-" * 90_000 + "1", "failed: (MemoryError|RecursionError)|out of memory"),
        ("def f(x): return 6\0", "failed: (SyntaxError|ValueError)"),
        ("def f(x): return '\ud800'", "failed: (UnicodeEncodeError|RuntimeError)"),
    ],
    ids=["parentheses", "signs", "null byte", "surrogate"],
)
def test_a_program_that_is_none_is_wrong(program, reason, outside):
    assert comes_to_nothing(program, "assert f(3) == 6", reason, outside)


def test_a_daemon_does_not_outlive_its_program():
    word = f"roundhouse-daemon-{os.getpid()}"
    daemon = f"""
        import os, sys, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv(sys.executable, ["python", "-c", "import time; time.sleep(300)", "{word}"])
            os._exit(0)
        time.sleep(0.5)
        """
    assert judge(dedent(daemon) + GOOD).outcome == "correct"
    assert not alive(word)


def test_the_weaker_mode_takes_its_children_along():
    word = f"roundhouse-child-{os.getpid()}"
    child = f"""
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", "{word}"], start_new_session=True)
        time.sleep(0.5)
        """
    assert judge(dedent(child) + GOOD, code=Code(sandbox="limits_only")).outcome == "correct"
    assert not alive(word)


def alive(word):
    """Whether a process with this word on its command line is still there a second later."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        if not any(word.encode() in line for line in lines):
            return False
        time.sleep(0.05)
    return True


def test_a_thread_that_never_ends_does_not_keep_a_right_answer_waiting():
    program = "import threading, time\nthreading.Thread(target=time.sleep, args=(300,)).start()\n"
    begun = time.monotonic()
    assert judge(program + GOOD).outcome == "correct"
    assert time.monotonic() - begun < 20


def test_a_daemon_that_holds_the_output_does_not_keep_a_case_waiting():
    program = "import os, time\nprint(int(input()) * 2, flush=True)\nif os.fork() == 0:\n    time.sleep(300)\n"
    begun = time.monotonic()
    assert SHORT.judge([(program, json.dumps([{"stdin": "3", "stdout": "6"}]), "stop")])[0].outcome == "correct"
    assert time.monotonic() - begun < 20


def test_sandboxes_end_with_the_process_that_started_them():
    program = "import time; open('/proc/self/comm', 'w').write('orphan'); time.sleep(300)"
    host = f"from lib.sandbox import *\nSandbox(Limits(wall_seconds=300)).run(Program(({program!r},)))"
    started = subprocess.Popen([sys.executable, "-c", host], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 30
    while not (found := [path for path in Path("/proc").glob("[0-9]*/comm") if path.exists() and path.read_text() == "orphan\n"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started.kill()
    started.wait()
    while any(path.exists() for path in found):
        assert time.monotonic() < deadline
        time.sleep(0.05)
