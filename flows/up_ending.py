"""The end of `roundhouse up`: runs first, so that the server hears of it, then worker, MLflow, and the server last.

    python -m flows.up_ending HOME MARK

waits until its standard input closes, which is when the `up` that started it has ended in whichever way, and then does the
same; where `up` could end everything itself, it finds nothing more to do.
"""

from __future__ import annotations

import sys
from pathlib import Path
from signal import SIGKILL, SIGSTOP, SIGTERM

from flows import owned
from flows.server import forget
from flows.up_services import read_state
from lib.files import locked
from lib.home import Home

RUN_SECONDS = 20.0
"""How long a run may take to close its stage children and to say that it ended."""

SERVICE_SECONDS = 6.0
"""How long a server may take after each signal; Prefect's have ignored a first SIGTERM."""


def end_everything(home: Home, mark: str) -> None:
    """End every process that was started under a mark, and no other; who waits for the home's server meanwhile, waits on."""
    state = read_state(home)
    pids = {row["name"]: row["pid"] for row in state.get("services", [])} if state.get("mark") == mark else {}

    def only(name: str) -> list[int]:
        pid = pids.get(name)
        return [pid] if pid is not None and owned.is_marked(pid, mark) else []

    with locked(home.prefect / "start.lock"):
        forget(home, mark)
        owned.send(only("worker"), SIGSTOP)  # it starts nothing more, and does not kill runs before they have said that they end
        owned.end(lambda: owned.flow_runs(mark), RUN_SECONDS)
        owned.end(lambda: only("worker"), SERVICE_SECONDS, (SIGKILL,))
        owned.end(lambda: only("mlflow") + only("prefect"), SERVICE_SECONDS, (SIGTERM, SIGTERM, SIGKILL))
        owned.end(lambda: owned.marked(mark), SERVICE_SECONDS, (SIGTERM, SIGKILL))
    if state.get("mark") == mark:
        (home.up / "state.json").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_everything(Home(Path(sys.argv[1])), sys.argv[2])
