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
    """The new model of the phase's role."""
    job = plan.train_job(phase, stage, read, ground)
    done = publish(shop, job)
    return Finished(Result({"model": (done.digest,)}, (read,)), [done], learned=job.inputs)
