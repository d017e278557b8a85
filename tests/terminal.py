"""A command in a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Terminal:
    """A command in a terminal of its own, as a person sees it."""

    def __init__(self, words: list[str], variables: dict[str, str], columns: int = 80) -> None:
        self.text = ""
        self._pid, self._handle = pty.fork()
        if self._pid == 0:
            os.chdir(ROOT)
            os.execvpe(words[0], words, variables)
        ioctl(self._handle, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def until(self, found: Callable[[str], bool], seconds: float = 120) -> str:
        """Read until something is seen. Raises AssertionError with all that was seen if that takes too long."""
        deadline = time.monotonic() + seconds
        while not found(self.text):
            assert time.monotonic() < deadline, self.text[-3000:]
            if not self._read():
                break
        return self.text

    def send(self, number: int) -> None:
        os.kill(self._pid, number)

    def press(self, key: bytes) -> None:
        os.write(self._handle, key)

    def end(self) -> int:
        """Read to the end; the exit status."""
        while self._read():
            pass
        _, status = os.waitpid(self._pid, 0)
        os.close(self._handle)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bool:
        readable, _, _ = select.select([self._handle], [], [], 60)
        if not readable:
            os.kill(self._pid, signal.SIGKILL)
        try:
            data = os.read(self._handle, 65536)
        except OSError:  # the other side is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)
