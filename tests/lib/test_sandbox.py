import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from lib import bubblewrap
from lib.sandbox import Limits, Program, Sandbox, Trial, run_many
from lib.sandboxed_process import PATIENCE, Watch
from tests.sandboxing import needs_walls

ROOT = Path(__file__).parents[2]
DOUBLE = ("def f(x):\n    return x * 2\n",)

pytestmark = needs_walls


def judged(source, tests, **more):
    return Sandbox().judge(Trial((source,), tests, **more))


def test_a_program_reads_its_input_and_gives_its_output():
    outcome = Sandbox().run(Program(("print(int(input()) + 1)",), "41\n"))
    assert (outcome.status, outcome.stdout, outcome.stderr) == ("passed", "42\n", "")


def test_a_program_that_ends_badly_says_how():
    outcome = Sandbox().run(Program(("print('so far'); 1 / 0",)))
    assert (outcome.status, outcome.reason, outcome.stdout) == ("failed", "failed: ZeroDivisionError: division by zero", "so far\n")


def test_the_first_source_that_compiles_is_run():
    assert Sandbox().run(Program(("def (", "print('second')", "print('third')"))).stdout == "second\n"


def test_a_program_without_any_source_that_compiles_fails():
    outcome = Sandbox().run(Program(("def (",)))
    assert outcome.status == "failed"
    assert outcome.reason.startswith("failed: SyntaxError")


def test_text_of_any_kind_crosses_the_walls():
    text = "žluťoučký 🐎 \x00 \x1b"
    assert Sandbox().run(Program(("import sys; sys.stdout.write(sys.stdin.read())",), text)).stdout == text


def test_equal_programs_behave_alike():
    source = "import random; print(random.random(), list({'a', 'b', 'c', 'd', 'e'}))"
    assert len({Sandbox().run(Program((source,))).stdout for _ in range(3)}) == 1


def test_tests_pass_or_fail_by_the_values():
    assert judged(DOUBLE[0], "assert f(3) == 6").status == "passed"
    outcome = judged(DOUBLE[0], "assert f(3) == 6\nassert f(3) == 7")
    assert (outcome.status, outcome.reason) == ("failed", "failed: AssertionError: assert f(3) == 7")


@pytest.mark.parametrize(
    "value",
    [
        "None", "True", "-7", "10**400", "0.1", "float('inf')", "2j", "'\\ud800 ž'", "b'\\x00'", "(1, [2, {3: {4}}])", "frozenset({1})",
        "range(3)", "Counter('aab')", "deque([1])", "OrderedDict(b=1, a=2)", "Decimal('0.1')", "Fraction(1, 3)", "date(2020, 2, 29)",
        "datetime(2020, 1, 2, 3, 4)", "timedelta(days=1)", "int", "ValueError", "bytearray(b'x')",
    ],
)  # fmt: skip
def test_plain_values_cross_unchanged(value):
    imports = "from collections import *\nfrom datetime import *\nfrom decimal import Decimal\nfrom fractions import Fraction\n"
    tests = f"{imports}assert f({value}) == {value} and type(f({value})) is type({value})"
    assert judged("def f(x):\n    return x", tests).status == "passed"


def test_an_argument_changed_in_place_is_changed_for_the_test():
    source = "def f(rows, seen):\n    rows.sort()\n    seen[1] = 2\n"
    tests = "rows, seen = [2, 1], {}\nassert f(rows, seen) is None\nassert rows == [1, 2] and seen == {1: 2}"
    assert judged(source, tests).status == "passed"


def test_a_class_of_the_program_can_be_used_by_the_tests():
    node = "class Node:\n    def __init__(self, v):\n        self.v, self.left = v, None\n"
    source = f"{node}def total(n):\n    return n.v + (total(n.left) if n.left else 0)\n"
    assert judged(source, "root = Node(1)\nroot.left = Node(2)\nassert total(root) == 3 and root.left.v == 2").status == "passed"


def test_generators_and_iterators_can_be_read_by_the_tests():
    source = "def f(n):\n    yield from range(n)\n"
    assert judged(source, "assert list(f(3)) == [0, 1, 2]\nassert next(f(1)) == 0").status == "passed"


def test_a_function_handed_over_is_called_where_it_lives():
    tests = "seen = []\ndef double(x):\n    seen.append(x)\n    return 2 * x\nassert apply(double, [1, 2]) == [2, 4] and seen == [1, 2]"
    assert judged("def apply(g, xs):\n    return list(map(g, xs))", tests).status == "passed"


def test_an_exception_of_the_program_reaches_the_tests():
    source = "class Odd(ValueError):\n    pass\ndef f(x):\n    raise Odd('no')\n"
    tests = "try:\n    f(1)\nexcept ValueError as error:\n    assert str(error) == 'no'\nelse:\n    assert False"
    assert judged(source, tests).status == "passed"
    assert judged(source, "f(1)").reason == "failed: ValueError: no"


def test_tests_with_a_class_of_their_own_are_unreadable_where_they_fail():
    assert judged("def f(x):\n    return x.v", "class A:\n    v = 1\nassert f(A()) == 1").status == "unreadable"


def test_unreadable_tests_are_not_the_programs_fault():
    assert judged(DOUBLE[0], "assert (").status == "unreadable"
    assert judged(DOUBLE[0], "assert f(1) == 2", prelude="1 / 0").status == "unreadable"


def test_helpers_come_from_the_problem_and_not_from_the_program():
    context = "def double(x):\n    return 2 * x\n"
    source = "def double(x):\n    return 5\ndef f(x):\n    return 5\n"
    assert judged(source, "assert f(3) == double(3)", entry_points=("f",), context=context).status == "failed"
    assert judged(source, "assert f(3) == double(3)", entry_points=("f",)).status == "passed"


def test_the_program_must_define_what_is_asked_for():
    outcome = judged("g = 1", "pass", entry_points=("f",))
    assert (outcome.status, outcome.reason) == ("failed", "failed: NameError: the program defines no 'f'")


def test_installed_packages_are_there_only_where_asked_for():
    program = Program(("import pyarrow; print(pyarrow.__name__)",))
    assert "ModuleNotFoundError" in Sandbox().run(program).reason
    assert Sandbox(Limits(memory_mb=4096, cpu_seconds=20, wall_seconds=60), site_packages=True).run(program).stdout == "pyarrow\n"


def test_many_are_run_side_by_side_and_stay_in_order():
    programs = [Program((f"import time; time.sleep(0.3); print({number})",)) for number in range(6)]
    begun = time.monotonic()
    outcomes = run_many([partial(Sandbox().run, program) for program in programs], workers=6)
    assert [outcome.stdout for outcome in outcomes] == [f"{number}\n" for number in range(6)]
    assert time.monotonic() - begun < 6 * max(outcome.seconds for outcome in outcomes)


def test_the_weaker_mode_judges_alike_and_still_has_limits(tmp_path):
    weak = Sandbox(Limits(cpu_seconds=1, wall_seconds=3), mode="limits_only")
    assert weak.judge(Trial(DOUBLE, "assert f(3) == 6")).status == "passed"
    assert weak.judge(Trial(DOUBLE, "assert f(3) == 7")).status == "failed"
    assert weak.run(Program(("while True: pass",))).reason == "time limit"
    assert weak.run(Program(("x = 'x' * 10**10",))).reason == "out of memory"


@pytest.mark.skipif(os.geteuid() != 0, reason="runs without privileges anyway")
def test_a_user_without_privileges_has_walls_too():
    program = "from lib.sandbox import *; s = Sandbox(); s.check(); print(s.run(Program(('import os; print(os.getuid())',))))"
    command = [
        *bubblewrap.as_nobody([Path(sys.base_prefix), ROOT]),
        *bubblewrap.python(False),
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env={"PATH": os.environ["PATH"]})
    assert "status='passed'" in done.stdout, done.stderr
    assert "stdout='65534\\n'" in done.stdout


def test_without_bubblewrap_it_refuses_and_names_the_remedy(tmp_path):
    program = "from lib.sandbox import Sandbox; Sandbox(mode='limits_only').check(); Sandbox().check()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT, env={"PATH": str(tmp_path)}
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        "lib.errors.UserError: programs of a model run only in bubblewrap, and there is no 'bwrap' on this machine; "
        "install bubblewrap and util-linux, or accept the weaker mode by its name, sandbox='limits_only', which is no sandbox"
    )


def test_a_bubblewrap_that_does_not_work_is_refused_with_what_it_said(tmp_path):
    for name in ("bwrap", "setpriv"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'no namespaces for you' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", "from lib.sandbox import Sandbox; Sandbox().check()"],
        capture_output=True, text=True, check=False, cwd=ROOT, env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    assert "which does not work here (no namespaces for you); install bubblewrap" in done.stderr


def test_a_program_is_not_stopped_for_the_time_that_a_busy_machine_kept_it_waiting():
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8 * len(os.sched_getaffinity(0)))]
    try:
        source = "import time\nwhile time.process_time() < 0.3: pass\nprint('done')"
        outcome = Sandbox(Limits(wall_seconds=0.4)).run(Program((source,)))  # 0.3 s of work take longer than that here
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert outcome.stdout == "done\n" or outcome.seconds > 0.4 * (1 + PATIENCE)


def test_a_program_that_is_out_of_memory_before_we_hear_that_it_is_ready_has_failed(monkeypatch: pytest.MonkeyPatch):
    """On a busy machine it may be at it before its first word is read."""
    send = Watch.send
    monkeypatch.setattr(Watch, "send", lambda watch, body: send(watch, body) and not time.sleep(3))
    many = """
def f(x):
    import os, time
    for _ in range(5):
        if not os.fork():
            x = b"x" * (100 << 20)
            time.sleep(60)
    time.sleep(60)
"""
    outcome = Sandbox(Limits(memory_mb=300)).judge(Trial((many,), "f(1)"))
    assert (outcome.status, outcome.reason) == ("failed", "out of memory")
