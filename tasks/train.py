"""Train: make the next model from the examples."""

from __future__ import annotations

from lib import plan
from lib.job import Result
from lib.plan import Ground
from lib.recipe import Phase, Stage
from tasks.publish import publish
from tasks.stage import Finished
from tasks.workshop import Workshop


def train(phase: Phase, stage: Stage, read: Result, ground: Ground, shop: Workshop) -> Finished:
    """The new model of the phase's role, with the tables of an online trainer's iterations."""
    job = plan.train_job(phase, stage, read, ground)
    done = publish(shop, job)
    if "iterations" not in job.settings:
        return Finished(Result({"model": (done.digest,)}, (read,)), [done], learned=job.inputs)
    names = [name for name in shop.tables_made(done.digest) if name != "problems"]
    made: dict[str, tuple[str, ...]] = dict.fromkeys(["model", *names], (done.digest,))
    return Finished(Result(made, (read,)), [done], learned={"examples": (done.digest,)})
