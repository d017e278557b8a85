"""Verify: every verifier judges every completion, a shard at a time."""

from __future__ import annotations

from lib import agreement_counts, plan, undecided
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
    made = {"verdicts": tuple(d.digest for d in done)}
    if all("token_scores" in shop.tables_made(d.digest) for d in done):
        made["token_scores"] = made["verdicts"]
    return Finished(Result(made, (read,)), done, figures=agreement(done, shop))


def agreement(done: list[Done], shop: Workshop) -> dict[str, float]:
    """How far the verifiers of a stage agree over all of its shards, as shares; nothing where there is one verifier."""
    stats = [shop.store.stats(job.publication.key, job.publication.version) for job in done]
    names = dict.fromkeys(name for measured in stats for name in measured if agreement_counts.is_count(name))
    return agreement_counts.shares({name: sum(measured.get(name, 0) for measured in stats) for name in names})


def refuse_undecided(name: str, limit: float, done: list[Done], shop: Workshop) -> None:
    """Raise TooManyUndecided if more than `limit` of a stage's outcomes are undecided."""
    undecided.refuse(name, limit, shop.outcomes(job.digest for job in done))
