"""The private Prefect server: one per home, shared by every command that runs there, gone when the last of them is.

A command says that it uses the server by holding the kernel's shared lock on `prefect/users.lock`. The server's keeper, a
process of its own, ends it once nobody holds that lock, however they ended. With PREFECT_API_URL set, that server is used
and none is started.
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
from collections.abc import Iterator
from pathlib import Path

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
    home.prefect.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PREFECT_HOME", str(home.prefect))
    os.environ.setdefault("PREFECT_LOCAL_STORAGE_PATH", str(home.prefect / "results"))
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")  # failures show on the run's page and in our one line
    if given := os.environ.get("PREFECT_API_URL"):
        if not _answers(given):
            raise UserError(f"no Prefect server answers at {given}; start it, or unset PREFECT_API_URL to use a private one")
        yield given
        return
    with _using(home):
        url = _running(home) or _started(home)
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


def _running(home: Home) -> str | None:
    path = home.prefect / "server.json"
    with contextlib.suppress(OSError, ValueError, KeyError):
        url = str(json.loads(path.read_text(encoding="utf-8"))["url"])
        if _answers(url):
            return url
    return None


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _started(home: Home) -> str:
    """Start the keeper, or join one that another command is starting."""
    with locked(home.prefect / "start.lock"):
        if (url := _running(home)) is not None:
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
            if (url := _running(home)) is not None:
                return url
            if keeper.poll() is not None:
                break
            time.sleep(0.1)
        raise RoundhouseError(f"the private Prefect server did not start; its log is {home.prefect / 'server.log'}")


def keep(home: Home) -> None:
    """Run the server until nobody uses it. This is the keeper's own process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)])
    write_json(home.prefect / "server.json", {"url": f"http://127.0.0.1:{port}/api", "pid": os.getpid(), "server": server.pid})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while server.poll() is None:
            time.sleep(IDLE_SECONDS)
            with locked(home.prefect / "users.lock", wait=False) as unused:
                if unused:  # held until the server is gone: who comes now waits, and then starts another
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
