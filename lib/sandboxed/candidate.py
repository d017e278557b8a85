"""The process that holds a candidate program and answers the judge's questions about it. It knows no test and no expected value.

Nothing it does can pass a test but answering with the right values: it is given inputs one at a time, and what it sends
back is read as plain values and compared elsewhere.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from lib.sandboxed import limits
from lib.sandboxed.channel import Broken, Channel
from lib.sandboxed.peer import OPERATIONS, Peer
from lib.sandboxed.source import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(words: list[str]) -> None:
    """Serve the judge over a descriptor until it is gone. `words`: the descriptor, then the limits."""
    limits.take(words[1:])
    solution = ModuleType("solution")
    sys.modules["solution"] = solution  # where dataclasses and enums look up the module of their class
    names = vars(solution)
    channel = Channel(int(words[0]))
    channel.send(b"ready")

    def run(*sources: str) -> None:
        exec(compiled(sources, "<solution>"), names)

    def name(wanted: str) -> Any:
        if wanted not in names:
            raise NameError(f"the program defines no '{wanted}'")
        return names[wanted]

    try:
        Peer(channel, {**OPERATIONS, "run": run, "name": name}).serve()
    except Broken:
        os._exit(0)
