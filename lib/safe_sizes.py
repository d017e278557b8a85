"""The largest micro-batch not known to run out of memory, per device and memory key, remembered on this machine.

Not part of any content key: a result does not depend on it but for floating-point rounding, and the size used is
recorded beside the result. The file only ever spares a failed attempt, so it may be deleted at any time.
"""

from __future__ import annotations

import fcntl
import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SafeSizes:
    """`safe_sizes.json` in a folder: {device: {memory key: micro-batch}}."""

    folder: Path

    def known(self, key: str, device: str) -> int | None:
        """The remembered micro-batch, or None where nothing ever ran out of memory."""
        return self._read().get(device, {}).get(key)

    def remember(self, key: str, device: str, size: int) -> None:
        """Keep `size`, unless a smaller one is already known; safe beside other processes doing the same."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "safe_sizes.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            sizes = self._read()
            of_device = sizes.setdefault(device, {})
            of_device[key] = min(size, of_device.get(key, size))
            aside = self._path.with_suffix(".tmp")
            aside.write_text(json.dumps(sizes, sort_keys=True, indent=1) + "\n")
            aside.replace(self._path)  # readers take no lock and see the old file or the new one

    @property
    def _path(self) -> Path:
        return self.folder / "safe_sizes.json"

    def _read(self) -> dict[str, dict[str, int]]:
        try:
            return json.loads(self._path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}  # a file that somebody damaged by hand costs one attempt at the larger size, no more
