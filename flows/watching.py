"""What a person sees while campaigns run: where each is, and every round's figures as it ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from flows.showing import spoken
from flows.terminal import Bars, bars
from lib.campaign import CampaignFolder
from lib.comparison import METRICS
from lib.errors import UserError
from lib.home import Home
from lib.round_record import RoundRecord

POLL_SECONDS = 0.3


@contextlib.contextmanager
def watching(home: Home, names: list[str], quiet: bool) -> Iterator[None]:
    """Show the campaigns from what they leave on disk, whichever process runs them, until the block ends."""
    folders = [CampaignFolder(home, name) for name in names]
    over = threading.Event()
    with bars(quiet) as shown:
        told = {folder.name: {(r.round, r.attempt) for r in folder.finished()} for folder in folders}

        def look() -> None:
            for folder in folders:
                with contextlib.suppress(UserError, OSError):  # a file that is being replaced is read at the next look
                    _look(folder, told[folder.name], shown)

        def watch() -> None:
            while not over.wait(POLL_SECONDS):
                look()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            look()


def _look(folder: CampaignFolder, told: set[tuple[int, int]], shown: Bars) -> None:
    if (now := folder.progress()) is not None:
        shown.set(folder.name, f"round {now['round']} {now['stage']}", now["share"])
    for record in folder.finished():
        if (record.round, record.attempt) not in told:
            told.add((record.round, record.attempt))
            shown.say(f"{folder.name}  {sentence(record)}")


def sentence(record: RoundRecord) -> str:
    """A finished round in a line: its validation figures and what the gate said."""
    values = {row["metric"]: row["value"] for row in record.metrics if row["split"] == "validation" and row["slice"] == "all"}
    figures = "  ".join(f"{spoken(metric)} {values[metric]:.3f}" for metric in METRICS if metric in values)
    name = f"round {record.round}" if record.round else "base model"
    return f"{name}  {figures}  {record.state if record.round else ''}".rstrip()
