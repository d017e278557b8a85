"""Filter: choose what is worth learning from, and keep the reason for every completion that is not."""

from __future__ import annotations

from lib import plan
from lib.job import Result
from lib.plan import Ground
from lib.recipe import Phase, Stage
from tasks.publish import publish
from tasks.stage import Finished
from tasks.workshop import Workshop


def filter(phase: Phase, stage: Stage, read: Result, ground: Ground, shop: Workshop) -> Finished:
    """Examples, their sources and the dropped; or new problems, in shards."""
    done = publish(shop, plan.filter_job(phase, stage, read, ground))
    names = [name for name in shop.tables_made(done.digest) if "/" not in name and name != "problems"]
    made: dict[str, tuple[str, ...]] = dict.fromkeys(names, (done.digest,))
    if plan.makes_problems(stage):
        made["problems"] = tuple(shop.shards_of(done.digest))
    return Finished(Result(made, (read,)), [done])
