"""Sample: the model writes completions for the problems, a shard at a time."""

from __future__ import annotations

from lib import plan
from lib.job import Result
from lib.plan import Ground
from lib.recipe import Phase, Stage
from tasks.publish import publish_all
from tasks.stage import Finished
from tasks.workshop import Workshop


def sample(phase: Phase, stage: Stage, read: Result, ground: Ground, shop: Workshop) -> Finished:
    """Completions of every shard, and nodes where the sampler searches a tree."""
    done = publish_all(shop, plan.sample_jobs(phase, stage, read, ground))
    made = {"completions": tuple(d.digest for d in done)}
    if all("nodes" in shop.tables_made(d.digest) for d in done):
        made["nodes"] = made["completions"]
    return Finished(Result(made, (read,)), done)
