"""A model server of our own: started by a command on this machine's loopback, ready, known by its model, ended with us.

    vllm serve {folder} --served-model-name {digest} --host 127.0.0.1 --port {port}
    python -m sglang.launch_server --model-path {folder} --served-model-name {digest} --host 127.0.0.1 --port {port}

A server must list the model's digest at /v1/models before it is asked anything: the weights of one round can then never
answer for those of another. One server runs at a time in a process, for each takes a whole accelerator: starting another
ends it. Cannot be caught: a server that lists a name and holds other weights.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lib.engines.guard import GRACE_SECONDS
from lib.engines.replies import Malformed, parsed, served_names
from lib.errors import BadModel, UserError

PLACEHOLDERS = ("{folder}", "{digest}", "{port}")
TAIL_CHARACTERS = 300
"""How much of a server's log a message shows."""
POLL_SECONDS = 0.1


class Served:
    """A running server."""

    current: Served | None = None
    """The one that this process runs."""

    def __init__(self, command: str, folder: Path, digest: str, ready_seconds: float) -> None:
        """Start it and wait until it serves the digest.

        Raises UserError if it ends or is not ready in time, BadModel if it serves another name.
        """
        if Served.current is not None:
            Served.current.close()
        port = _free_port()
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._program = shlex.split(command)[0]
        self._logs = Path(tempfile.mkdtemp(prefix="roundhouse-server-"))
        with (self._logs / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("guard.py")), *_filled(command, folder, digest, port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        Served.current = self
        atexit.register(self.close)
        try:
            self._await_ready(digest, time.monotonic() + ready_seconds)
        except BaseException:
            self.close()
            raise

    def ended(self) -> str | None:
        """How the server ended, with the end of its log; None while it runs."""
        if self._process.poll() is None:
            return None
        return f"the model server {self._program} has ended; {self._tail()}" if self._logs.is_dir() else f"{self._program} was closed"

    def close(self) -> None:
        """End the server and all it started: asked first, killed after a grace."""
        if Served.current is self:
            Served.current = None
        atexit.unregister(self.close)
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS + 1.0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._logs, ignore_errors=True)

    def _await_ready(self, digest: str, deadline: float) -> None:
        started = time.monotonic()
        while (names := names_at(self.base_url)) is None:
            if how := self.ended():
                raise UserError(f"{how}; does the command run by itself?")
            if time.monotonic() > deadline:
                raise UserError(
                    f"the model server {self._program} was not ready after {time.monotonic() - started:.0f} s; {self._tail()}; "
                    "raise engine.ready_seconds if it only needs longer"
                )
            time.sleep(POLL_SECONDS)
        if digest not in names:
            raise BadModel(
                f"the model server {self._program} serves {', '.join(names) or 'nothing'} and not {digest}; "
                "give it the digest as the served name (vLLM, SGLang: --served-model-name {digest}; llama.cpp: --alias {digest})"
            )

    def _tail(self) -> str:
        with (self._logs / "log.txt").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4 * TAIL_CHARACTERS))
            words = " ".join(log.read().decode("utf-8", "replace").split())
        return f"its log ends: {words[-TAIL_CHARACTERS:]}" if words else "its log is empty"


def checked_command(command: str) -> str:
    """A command template that says what to serve, under which name and where. Raises UserError for another."""
    missing = [name for name in PLACEHOLDERS if name not in command]
    if missing:
        raise UserError(
            f"the server's command {command!r} lacks {', '.join(missing)}; "
            "for example: vllm serve {folder} --served-model-name {digest} --host 127.0.0.1 --port {port}"
        )
    try:
        shlex.split(command)
    except ValueError as error:
        raise UserError(f"the server's command {command!r} cannot be read: {error}") from None
    return command


def names_at(base_url: str) -> list[str] | None:
    """The models that a server on the loopback lists; None where it does not answer so, as while it starts."""
    import httpx

    try:
        reply = httpx.get(f"{base_url}/models", timeout=5.0, trust_env=False)
        return served_names(parsed(reply.text)) if reply.status_code == 200 else None
    except (httpx.HTTPError, Malformed):
        return None


def _filled(command: str, folder: Path, digest: str, port: int) -> list[str]:
    values = dict(zip(PLACEHOLDERS, (str(folder), digest, str(port)), strict=True))
    words = shlex.split(command)
    for name, value in values.items():  # not str.format: an argument may hold JSON with braces of its own
        words = [word.replace(name, value) for word in words]
    return words


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
