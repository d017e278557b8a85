"""What an artifact is expected to hold now: what its list of files says, less what was removed on purpose.

The one place that knows of such removals; every check that misses something asks here first.
"""

from __future__ import annotations

from pathlib import Path

from lib import tombstone


def collected(folder: Path) -> set[str]:
    """The files that may be missing and are, for they were collected as weights that nothing needed."""
    stone = tombstone.read(folder)
    return set(stone.missing(folder)) if stone is not None else set()
