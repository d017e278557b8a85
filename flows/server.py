"""The Prefect server of a home, shared by every command that runs there: that of `roundhouse up` while it runs, else a private one.

A command says that it uses the server by holding the kernel's shared lock on `prefect/users.lock`. The keeper of a private
server, a process of its own, ends it once nobody holds that lock, however they ended. With PREFECT_API_URL set, that server
is used and none is started. Both kinds keep their database in `prefect/`, so there is never more than one: whoever starts or
ends one holds `prefect/start.lock`, and `prefect/server.json` says where it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from flows import owned
from lib.errors import RoundhouseError, UserError
from lib.files import locked, write_json
from lib.home import Home

START_SECONDS = 180.0
IDLE_SECONDS = 2.0
"""How long nobody may use the server before its keeper ends it."""


@contextlib.contextmanager
def prefect_server(home: Home) -> Iterator[str]:
    """Use this home's server, started if need be; yields its API address and sets the environment for Prefect.

    Must be entered before prefect is imported.
    """
    settle(home)
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")  # failures show on the run's page and in our one line
    if given := os.environ.get("PREFECT_API_URL"):
        if not answers(f"{given}/health"):
            raise UserError(f"no Prefect server answers at {given}; start it, or unset PREFECT_API_URL to use a private one")
        yield given
        return
    with _using(home):
        url = running(home) or _joined(home) or _started(home)
        os.environ["PREFECT_API_URL"] = url
        try:
            yield url
        finally:
            del os.environ["PREFECT_API_URL"]


@contextlib.contextmanager
def _using(home: Home) -> Iterator[None]:
    handle = os.open(home.prefect / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def settle(home: Home) -> None:
    """Where Prefect keeps its database and its results: in the home, unless the user named another place."""
    home.prefect.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PREFECT_HOME", str(home.prefect))
    os.environ.setdefault("PREFECT_LOCAL_STORAGE_PATH", str(home.prefect / "results"))


def running(home: Home) -> str | None:
    """The API address of the server that this home has now, or None; whatever else may listen at a stale address is not taken for it."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        noted = json.loads((home.prefect / "server.json").read_text(encoding="utf-8"))
        if owned.is_marked(int(noted["server"]), str(noted["mark"])) and answers(f"{noted['url']}/health"):
            return str(noted["url"])
    return None


def note(home: Home, url: str, server: int, mark: str) -> None:
    """Say where this home's server is; the caller holds start.lock, or is about to be asked by who does."""
    write_json(home.prefect / "server.json", {"url": url, "pid": os.getpid(), "server": server, "mark": mark})


def forget(home: Home, mark: str) -> None:
    """Take back the note of a server that was started under this mark, before it ends; another's note stays."""
    path = home.prefect / "server.json"
    with contextlib.suppress(OSError, ValueError, KeyError):
        if json.loads(path.read_text(encoding="utf-8"))["mark"] == mark:
            path.unlink()


def end_unused(home: Home) -> bool:
    """End a private server whose keeper was killed; False while a command uses it. The caller holds start.lock."""
    with locked(home.prefect / "users.lock", wait=False) as unused:
        if unused:
            mark = str(json.loads((home.prefect / "server.json").read_text(encoding="utf-8"))["mark"])
            forget(home, mark)
            owned.end(lambda: owned.marked(mark), 3.0, (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL))
        return unused


def answers(url: str) -> bool:
    """Whether an address of this machine answers with a good word."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def is_up(home: Home) -> bool:
    """Whether `roundhouse up` runs in this home; it has its Prefect server, or will have it soon."""
    try:
        handle = os.open(home.up / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)


def _joined(home: Home) -> str | None:
    """The server of a `roundhouse up` that is only starting; None where there is none."""
    deadline = time.monotonic() + START_SECONDS
    while is_up(home):
        if (url := running(home)) is not None:
            return url
        if time.monotonic() > deadline:
            raise RoundhouseError(f"the Prefect server of `roundhouse up` does not answer; its log is {home.up / 'prefect.log'}")
        time.sleep(0.1)
    return None


def _started(home: Home) -> str:
    """Start the keeper, or join one that another command is starting."""
    with locked(home.prefect / "start.lock"):
        if (url := running(home)) is not None:
            return url
        log = (home.prefect / "server.log").open("ab")
        keeper = subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path(__file__).resolve().parent.parent,
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if (url := running(home)) is not None:
                return url
            if keeper.poll() is not None:
                break
            time.sleep(0.1)
        raise RoundhouseError(f"the private Prefect server did not start; its log is {home.prefect / 'server.log'}")


def server_command(port: int) -> list[str]:
    """A Prefect server on loopback."""
    return [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]


def keep(home: Home) -> None:
    """Run the server until nobody uses it. This is the keeper's own process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mark = uuid.uuid4().hex
    server = subprocess.Popen(server_command(port), env={**os.environ, owned.MARK: mark})
    note(home, f"http://127.0.0.1:{port}/api", server.pid, mark)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while server.poll() is None:
            time.sleep(IDLE_SECONDS)
            with locked(home.prefect / "users.lock", wait=False) as unused:
                if unused:  # held until the server is gone: who comes now waits, and then starts another
                    with locked(home.prefect / "start.lock"):
                        _leave(home, server)
                    return
    finally:
        _leave(home, server)


def _leave(home: Home, server: subprocess.Popen[bytes]) -> None:
    (home.prefect / "server.json").unlink(missing_ok=True)
    _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    for stop in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):  # Prefect's server has ignored a first SIGTERM
        with contextlib.suppress(ProcessLookupError):
            server.send_signal(stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=3)
            return


if __name__ == "__main__":
    keep(Home(Path(sys.argv[1])))
