"""Run as a program: starts a command in a process group of its own, and ends the whole group when standard input closes.

The pipe closes when whoever holds its other end closes it or dies, however that ends, so that no model server outlives
the work that started it. Cannot be caught: a server that leaves its process group.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 5.0
"""How long the command may take to end by itself once it is asked to."""


def main(command: list[str]) -> None:
    """Start the command; returns only by killing the group that it leads."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # what the group is sent must not end its guard first
    try:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        sys.stdout.write(f"cannot start {command[0]}: {error.strerror}\n")
        sys.exit(127)
    threading.Thread(target=_end_when_closed, args=(server,), daemon=True).start()
    code = server.wait()
    sys.stdout.write(f"the server ended with exit code {code}\n")
    sys.stdout.flush()
    os.killpg(0, signal.SIGKILL)


def _end_when_closed(server: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while server.returncode is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
