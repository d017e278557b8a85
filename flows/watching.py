"""What a person sees while campaigns run: where each is, and every round's figures as it ends."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from flows import wording
from flows.standing import Standing
from flows.terminal import Bars, bars
from lib.campaign import CampaignFolder
from lib.comparison import METRICS
from lib.errors import UserError
from lib.home import Home
from lib.round_record import RoundRecord

POLL_SECONDS = 0.3
SHARE_OF_A_CORE = 0.02
"""What looking may take: of many campaigns it takes longer, and is done less often."""


@contextlib.contextmanager
def watching(home: Home, names: list[str], quiet: bool) -> Iterator[None]:
    """Show the campaigns from what they leave on disk, whichever process runs them, until the block ends."""
    standings = [Standing(CampaignFolder(home, name)) for name in names]
    over = threading.Event()
    with bars(quiet) as shown:
        told = {standing.folder.name: {(r.round, r.attempt) for r in standing.finished()} for standing in standings}

        def look() -> None:
            for standing in standings:
                with contextlib.suppress(UserError, OSError):  # a file that is being replaced is read at the next look
                    _look(standing, told[standing.folder.name], shown)

        def watch() -> None:
            pause = POLL_SECONDS
            while not over.wait(pause):
                before = time.thread_time()
                look()
                pause = max(POLL_SECONDS, (time.thread_time() - before) / SHARE_OF_A_CORE)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            look()


def _look(standing: Standing, told: set[tuple[int, int]], shown: Bars) -> None:
    facts = standing.facts()
    if facts.get("now"):
        shown.set(facts["campaign"], wording.stage(facts), facts["now"]["share"], wording.briefly(facts), wording.left(facts))
    for record in standing.finished():
        if (record.round, record.attempt) not in told:
            told.add((record.round, record.attempt))
            shown.say(f"{facts['campaign']}  {sentence(record)}")


def sentence(record: RoundRecord) -> str:
    """A finished round in a line: its validation figures, what the gate said, and whether nothing of it was new."""
    values = {row["metric"]: row["value"] for row in record.metrics if row["split"] == "validation" and row["slice"] == "all"}
    figures = "  ".join(f"{wording.spoken(metric)} {values[metric]:.3f}" for metric in METRICS if metric in values)
    name = f"round {record.round}" if record.round else "base model"
    state = record.state if record.round else ""
    reused = "(all of it reused)" if all(job["reused"] for stage in record.stages.values() for job in stage["jobs"]) else ""
    return "  ".join(part for part in (name, figures, state, reused) if part)
