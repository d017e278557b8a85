"""Commands of `roundhouse` one after another in one process, which imports torch, Prefect and MLflow once for all of them.

Each command is what a person would type and runs as it would for them; only the process outlives it. Its words go in as a
line of JSON, its exit status comes back as a line, and what it printed is in the log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lib.home import Home

ROOT = Path(__file__).resolve().parents[2]

SHOWN = 4000
"""Characters of the log that a failure shows."""


@dataclass
class OneProcess:
    """A process that runs commands in one home, against one Prefect server."""

    process: subprocess.Popen[str]
    log: Path

    def run(self, *words: str) -> None:
        """Run `roundhouse WORDS` to its end; anything but success fails, with what was printed."""
        begins = self.log.stat().st_size
        ended = self._status(words)
        assert ended == "0", f"{' '.join(words)} ended with {ended or 'its process'}: {self.log.read_text()[begins:][-SHOWN:]}"

    def _status(self, words: tuple[str, ...]) -> str:
        asked, told = _pipes(self.process)
        asked.write(json.dumps(words) + "\n")
        asked.flush()
        return told.readline().strip()


@contextmanager
def one_process(home: Home, server: str, log: Path) -> Iterator[OneProcess]:
    """The process, ended with the block."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "ROUNDHOUSE_HOME": str(home.root), "PREFECT_API_URL": server}
    with log.open("w") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.flows.one_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            text=True,
            env=variables,
            cwd=ROOT,
        )
    try:
        yield OneProcess(process, log)
    finally:
        process.communicate(timeout=60)


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def obey() -> None:
    """Run each line's words until there are no more."""
    from flows import cli

    told = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what commands print goes to the log
    for line in sys.stdin:
        sys.argv = ["roundhouse", *json.loads(line)]
        told.write(f"{cli.run()}\n")


if __name__ == "__main__":
    obey()
