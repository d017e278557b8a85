"""Verify: every verifier judges every completion, a shard at a time."""

from __future__ import annotations

from lib import plan
from lib.errors import TooManyUndecided
from lib.job import Result
from lib.plan import Ground
from lib.recipe import Phase, Stage
from tasks.publish import publish_all
from tasks.stage import Finished
from tasks.workshop import Done, Workshop


def verify(phase: Phase, stage: Stage, read: Result, ground: Ground, shop: Workshop) -> Finished:
    """Verdicts of every shard. Raises TooManyUndecided past the stage's limit."""
    done = publish_all(shop, plan.verify_jobs(phase, stage, read, ground))
    refuse_undecided(stage.label, stage.undecided_limit, done, shop)
    return Finished(Result({"verdicts": tuple(d.digest for d in done)}, (read,)), done)


def refuse_undecided(name: str, limit: float, done: list[Done], shop: Workshop) -> None:
    """Raise TooManyUndecided if more than `limit` of a stage's outcomes are undecided."""
    outcomes = shop.outcomes(job.digest for job in done)
    total = outcomes.total()
    if total and outcomes["undecided"] > limit * total:
        raise TooManyUndecided(
            f"{name}: {outcomes['undecided']} of {total} verdicts are undecided, over the limit of {limit:.0%}; "
            "look at their reasons in the verdicts table, or raise undecided_limit"
        )
