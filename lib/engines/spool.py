"""Finished answers of a shard, one line each, kept beside the work until its result is published.

A kill loses the answers that were on their way, and at most the last line, which is then asked for again. Not kept:
answers that failed, so that they are asked for again too. Lines reach the kernel, not the disk: a power cut may lose some.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lib.protocols import Sampled

NAME = "answers.jsonl"


class Spool:
    """The answers of one work item, by the digest of what was asked."""

    def __init__(self, folder: Path | None) -> None:
        self._file = folder / NAME if folder is not None else None

    def read(self) -> dict[str, list[Sampled]]:
        """What was kept; a line that a kill cut short is passed over."""
        if self._file is None or not self._file.is_file():
            return {}
        found = {}
        with self._file.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    kept = json.loads(line)
                    found[kept["asked"]] = [Sampled(**sampled) for sampled in kept["answers"]]
                except (ValueError, TypeError, KeyError):
                    continue
        return found

    def add(self, asked: str, answers: Sequence[Sampled]) -> None:
        """Keep the answers to one request."""
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"asked": asked, "answers": [asdict(answer) for answer in answers]})
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(f"\n{line}\n")  # the line before it may have been cut short
