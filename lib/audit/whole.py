"""The audit of a campaign: that its artifacts, its records and MLflow are what they were, and tell one story.

    losses          what the store set aside as damaged, and whether it was made again
    digests         every file of every artifact, hashed again
    records         the record of every publication: its own hash, its key, its rows
    rounds          the record of every round: its jobs, models and figures, and what came before it
    ancestry        what every trained model learned from and began with is here
    conservation    rows in are rows out, for every filter stage
    memory          a training learned as many of the examples it was given as its settings let stay
    owed            sample and verify jobs made the rows that their strategies owe
    iterations      trainings that sampled for themselves made in every iteration the rows that their strategies owe
    held_out        no held-out problem was trained on
    mlflow_story    MLflow says the same

It writes nothing and repairs nothing. Not covered: that a record was not forged together with all that names it, MLflow's
database too; only a copy elsewhere can show that. Nor what runs while it looks.
"""

from __future__ import annotations

from collections.abc import Callable

from lib.audit import ancestry, conservation, digests, held_out, iterations, losses, memory, mlflow_story, owed, records, rounds
from lib.audit.reach import Reach
from lib.audit.report import Report
from lib.campaign import CampaignFolder
from lib.home import Home
from lib.strategy import UserCode

Told = Callable[[str, int, int], None]
"""Called with (what is being looked at, done, total)."""

CHECKS = (records, rounds, ancestry, conservation, memory, owed, iterations, held_out)
"""What is looked at after the digests, in this order, from the artifacts alone."""


def silent(what: str, done: int, total: int) -> None:
    """Tells nobody."""


def audit(home: Home, name: str, *, offline: bool = False, told: Told = silent) -> Report:
    """Audit a campaign; `offline` looks at the artifacts alone.

    Raises UnknownName for a campaign that is not there, UserError where its campaign.json cannot be read.
    """
    folder = CampaignFolder(home, name)
    report = Report(name)
    told("records", 0, 1)
    reach = Reach(folder, report)
    UserCode.allow(folder.code)
    losses.check(reach, report)
    digests.check(reach, report, lambda done, total: told("digests", done, total))
    for place, check in enumerate(CHECKS):
        told(check.__name__.rpartition(".")[2].replace("_", " "), place, len(CHECKS))
        check.check(reach, report)
    if not offline:
        told("MLflow", 0, 1)
        mlflow_story.check(reach, report)
    if folder.holder() is not None:
        report.notes.append("the campaign runs now; what it makes meanwhile is not covered")
    return report
