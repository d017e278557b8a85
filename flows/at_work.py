"""What a run is at, as progress.json keeps it for every terminal: stage, part, shard, since when, and what of it was reused."""

from __future__ import annotations

import os
import time
from typing import Any

from lib.job import Label


class Work:
    """Follows the notices of one run: which stage has come, since when, and which of its shards were really worked at."""

    def __init__(self) -> None:
        self._stage: tuple[int, int, str, str] | None = None
        self._since = 0.0
        self._begun: set[str] = set()
        self._reused: set[str] = set()

    def hear(self, label: Label, done: int, total: int) -> bool:
        """Take in a notice; whether a stage, or the work at one of its shards, begins with it."""
        name, stage = str(label), (label.round, label.attempt, label.stage_path, label.part)
        begins = stage != self._stage
        if begins:
            self._stage, self._since, self._begun, self._reused = stage, time.time(), set(), set()
        if done < total:
            begins = begins or name not in self._begun
            self._begun.add(name)
        elif name not in self._begun:  # it ended and had never begun
            self._reused.add(name)
        return begins

    def facts(self, label: Label) -> dict[str, Any]:
        """Where the run is; `begun` and `reused` are how many of this stage's shards were so far."""
        return {
            "round": label.round,
            "attempt": label.attempt,
            "stage": label.stage_path,
            "part": label.part,
            "shard": label.shard + 1,
            "shards": label.shards,
            "begun": len(self._begun),
            "reused": len(self._reused),
            "since": self._since,
            "at": time.time(),
            "pid": os.getpid(),
        }
