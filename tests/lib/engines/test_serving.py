"""A model server as a child of ours: ready or refused, known by its model, and gone when we are."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.engines.openai_server import OpenaiServer
from lib.engines.serving import Served
from lib.errors import BadModel, ServerGone, UserError
from lib.protocols import Machine, Request
from lib.small_model import SmallLlama
from tests.server_questions import sample

ROOT = Path(__file__).parents[3]
DIGEST = "a" * 64

FAKE = """
import json, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
folder, name, port, *how = sys.argv[1:]
print("loading", folder, flush=True)
if "dies" in how:
    sys.exit("no memory left on device")
if "sleeps" in how:
    time.sleep(600)
if "children" in how:
    child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"])
    open(folder + "/pids", "w").write(str(child.pid))
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"data": [{"id": name}]}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""


@pytest.fixture
def fake(tmp_path: Path) -> str:
    """The command of a server that lists its model and nothing else."""
    script = tmp_path / "fake_server.py"
    script.write_text(FAKE)
    return f"{sys.executable} {script} {{folder}} {{digest}} {{port}}"


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_running(pid):
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.05)


def test_a_server_is_ready_when_it_lists_its_model_and_gone_when_closed(fake, tmp_path):
    served = Served(fake, tmp_path, DIGEST, 60)
    pid = served._process.pid
    assert Served.current is served
    assert served.ended() is None
    served.close()
    wait_until_gone(pid)
    assert Served.current is None


def test_all_that_a_server_started_ends_with_it(fake, tmp_path):
    served = Served(f"{fake} children", tmp_path, DIGEST, 60)
    child = int((tmp_path / "pids").read_text())
    assert is_running(child)
    served.close()
    wait_until_gone(child)


def test_another_server_takes_the_place_of_the_first(fake, tmp_path):
    first = Served(fake, tmp_path, DIGEST, 60)
    second = Served(fake, tmp_path, "b" * 64, 60)
    assert first.ended() is not None
    assert Served.current is second
    second.close()


def test_a_server_ends_when_whoever_started_it_is_killed(fake, tmp_path):
    program = f"""
import sys, time
from pathlib import Path
from lib.engines.serving import Served
served = Served({f"{fake} children"!r}, Path({str(tmp_path)!r}), "x", 60)
print(served._process.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    guard = int(parent.stdout.readline())
    child = int((tmp_path / "pids").read_text())
    assert is_running(guard) and is_running(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for pid in (guard, child):
        wait_until_gone(pid)


def test_a_server_that_ends_is_shown_with_the_end_of_its_log(fake, tmp_path):
    with pytest.raises(UserError, match=r"has ended; its log ends: .*no memory left on device.*exit code 1; does the command") as raised:
        Served(f"{fake} dies", tmp_path, DIGEST, 60)
    assert "\n" not in str(raised.value)
    assert Served.current is None


def test_a_program_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(UserError, match="cannot start no-such-program"):
        Served("no-such-program {folder} {digest} {port}", tmp_path, DIGEST, 60)


def test_a_server_that_is_never_ready_is_ended_at_the_deadline(fake, tmp_path):
    with pytest.raises(UserError, match=r"was not ready after 1 s; its log ends: loading .*ready_seconds"):
        Served(f"{fake} sleeps", tmp_path, DIGEST, 1.0)
    assert Served.current is None


def test_a_server_of_another_name_is_refused(fake, tmp_path):
    with pytest.raises(BadModel, match=f"serves the-old-model and not {DIGEST}; give it the digest"):
        Served(fake.replace("{digest}", "the-old-model") + " {digest}", tmp_path, DIGEST, 60)
    assert Served.current is None


def test_an_argument_may_hold_braces_of_its_own(fake, tmp_path):
    served = Served(f"""{fake} '{{"temperature": 1}}'""", tmp_path, DIGEST, 60)
    assert served.ended() is None
    served.close()


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The models of two rounds."""
    folders = [tmp_path_factory.mktemp(f"model{number}") for number in (1, 2)]
    for seed, folder in enumerate(folders):
        SmallLlama(hidden_size=16, layers=1, heads=2, intermediate_size=16).build(folder, seed=seed)
    return folders


@pytest.mark.slow
def test_each_model_is_served_by_a_server_of_its_own_that_is_started_again_if_it_dies(rounds, monkeypatch):
    command = f"{sys.executable} {ROOT / 'tests' / 'model_server.py'} --folder {{folder}} --name {{digest}} --port {{port}}"
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    settings = OpenaiServer(command=command, pause_seconds=0.05, attempts=3)
    engines = [settings.open(folder, str(number) * 64, Machine()) for number, folder in enumerate(rounds)]
    assert Served.current is None, "nothing is started before it is asked"
    first, second = (sample(engine, temperature=0.0) for engine in engines)
    assert first != second
    assert Served.current is not None
    os.killpg(Served.current._process.pid, signal.SIGKILL)
    Served.current._process.wait()
    assert sample(engines[1], temperature=0.0) == second

    def kill(done: int, total: int) -> None:
        assert Served.current is not None
        os.killpg(Served.current._process.pid, signal.SIGKILL)
        Served.current._process.wait()

    requests = [Request(engines[1].render([{"role": "user", "content": f"{i}>1:"}]), (i,)) for i in range(40)]
    with pytest.raises(ServerGone, match="has ended; its log"):
        engines[1].sample(requests, temperature=1.0, top_p=1.0, max_new_tokens=20, report=kill)
    Served.current.close()
