"""Processes that may be hostile, seen from outside: started with nothing of ours, read with a cap, measured and killed whole."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
"""All that it finds in its environment. The hash seed is fixed, so that the order of a set is the same in every run."""

START_SECONDS = 60.0
"""How long a process may take until it is ready; a slower one is the machine's fault."""
TIME_LIMIT = "time limit"
FLOOD = "output limit"
OUT_OF_MEMORY = "out of memory"
LARGEST_FRAME = 1 << 16
PATIENCE = 2
"""How many times its time by the clock a program may be given on top of it, as far as a busy machine kept it waiting for a core."""

_LOOK_SECONDS = 0.05
"""How often the memory is looked at."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class SandboxedProcess:
    """A started process with its output so far."""

    def __init__(self, command: Sequence[str], descriptors: Sequence[int], folder: Path | None, stdin: str, most: int) -> None:
        with tempfile.TemporaryFile() as given:
            given.write(stdin.encode("utf-8", "surrogatepass"))
            given.seek(0)
            self.process = subprocess.Popen(
                command,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT,
                cwd=folder,
                pass_fds=descriptors,
                start_new_session=True,
            )
        assert self.process.stdout and self.process.stderr
        self.pipes = {self.process.stdout.fileno(): bytearray(), self.process.stderr.fileno(): bytearray()}
        self.most = most
        for descriptor in self.pipes:
            os.set_blocking(descriptor, False)

    @property
    def stdout(self) -> str:
        return self._text(0)

    @property
    def stderr(self) -> str:
        return self._text(1)

    @property
    def flooded(self) -> bool:
        """Whether it wrote more than may be kept."""
        return any(len(held) > self.most for held in self.pipes.values())

    def read(self, descriptor: int) -> bool:
        """Take in what a pipe holds, never more than the cap; False at its end, or at the cap."""
        held = self.pipes[descriptor]
        while len(held) <= self.most:
            try:
                part = os.read(descriptor, min(1 << 16, self.most + 1 - len(held)))
            except BlockingIOError:
                return True
            if not part:
                return False
            held += part
        return False

    def memory_bytes(self) -> int:
        """Resident memory of the process and everything below it, a page shared by several counted several times."""
        return sum(map(_resident, _tree(self.process.pid)))

    def kill(self) -> None:
        """End it and everything below it, and forget its pipes.

        Each is killed by its number: what is inside could keep bubblewrap's own first process (which it may trace) from dying with
        its parent. Once that one is gone, the kernel kills all the others inside.
        """
        if self.process.poll() is None:
            for pid in _tree(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def ending(self) -> str:
        """How it ended, in a few words; call when it has."""
        code = self.process.returncode
        number = -code if code < 0 else code - 128  # bubblewrap reports a signal as a shell does
        if number == signal.SIGXCPU:
            return TIME_LIMIT
        if number in signal.valid_signals():
            return f"killed by {signal.Signals(number).name}" if number in set(signal.Signals) else f"killed by signal {number}"
        return f"exit without result (status {code})"

    def _text(self, place: int) -> str:
        return bytes(list(self.pipes.values())[place]).decode("utf-8", "replace")


class Watch:
    """Some processes and the socket that one of them reports over, until the end or a limit; on leaving, all are killed."""

    def __init__(self, processes: Sequence[SandboxedProcess], control: socket.socket, wall_seconds: float, memory_bytes: int) -> None:
        self.processes = processes
        self.control = control
        self.wall_seconds = wall_seconds
        self.memory_bytes = memory_bytes
        self.started = time.monotonic()
        self.deadline = self.started + START_SECONDS
        self.stopped = ""
        """The limit that was passed; empty while none was."""
        self._selector = selectors.DefaultSelector()
        self._received = bytearray()
        self._looked = self.started

    def __enter__(self) -> Watch:
        self.control.settimeout(START_SECONDS)
        self._selector.register(self.control, selectors.EVENT_READ)
        for process in self.processes:
            for pipe in process.pipes:
                self._selector.register(pipe, selectors.EVENT_READ, process)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._selector.close()
        for process in self.processes:
            process.kill()

    @property
    def seconds(self) -> float:
        """By the clock, since it was ready."""
        return time.monotonic() - self.started

    def send(self, body: bytes) -> bool:
        """Send a frame; False if nobody takes it."""
        try:
            self.control.sendall(len(body).to_bytes(4, "big") + body)
        except OSError:
            return False
        return True

    def start(self) -> bool:
        """Wait until the process says that it is ready, and start the clock; False if it never does."""
        ready = self.frame() == b"ready"
        self.started = time.monotonic()
        self.deadline = self.started + self.wall_seconds
        return ready

    def frame(self) -> bytes | None:
        """The next frame; None where none will come: the socket is closed, or a limit is passed."""
        while not self.stopped and self.control in self._selector.get_map():
            length = int.from_bytes(self._received[:4], "big")
            if len(self._received) >= 4 and length > LARGEST_FRAME:
                return None
            if len(self._received) >= 4 + length > 4:
                body = bytes(self._received[4 : 4 + length])
                del self._received[: 4 + length]
                return body
            self._step()
        return None

    def until_exit(self, process: SandboxedProcess, seconds: float | None = None) -> bool:
        """Wait until a process has ended, or a limit is passed, and take in the rest of its output."""
        if seconds is not None:
            self.deadline = time.monotonic() + seconds
        while not self.stopped and process.process.poll() is None:
            self._step()
        for pipe in process.pipes:
            process.read(pipe)
        self._look()
        return process.process.returncode is not None

    def _step(self) -> None:
        open_pipes = [key for key in self._selector.get_map().values() if key.data]
        for key, _ in self._selector.select(_LOOK_SECONDS if open_pipes else _LOOK_SECONDS / 20):
            if key.data is None:
                self._receive()
            elif not key.data.read(key.fd):
                self._selector.unregister(key.fd)
        self._look()

    def _receive(self) -> None:
        try:
            part = self.control.recv(LARGEST_FRAME)
        except OSError:
            part = b""
        self._received += part
        if not part:
            self._selector.unregister(self.control)

    def _look(self) -> None:
        now = time.monotonic()
        if now > self.deadline and now - self.deadline > min(self._waited(), PATIENCE * self.wall_seconds):
            self.stopped = TIME_LIMIT
        if any(process.flooded for process in self.processes):
            self.stopped = FLOOD
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            if sum(process.memory_bytes() for process in self.processes) > self.memory_bytes:
                self.stopped = OUT_OF_MEMORY

    def _waited(self) -> float:
        """Seconds that the processes were ready to run and got no core."""
        return sum(_run_delay(pid) for process in self.processes for pid in _tree(process.process.pid))


def _tree(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # gone meanwhile
            continue
    return found


def _resident(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:  # gone meanwhile
        return 0
    return (int(fields[1]) - int(fields[2])) * _PAGE if len(fields) > 2 else 0


def _run_delay(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:  # gone meanwhile, or a kernel that does not count this
        return 0.0
