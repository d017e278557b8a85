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
    """The new model of the phase's role, with the tables that lie beside it: of an online trainer's iterations, or of what it let go."""
    job = plan.train_job(phase, stage, read, ground)
    done = publish(shop, job)
    names = [name for name in shop.tables_made(done.digest) if name != "problems"]
    made: dict[str, tuple[str, ...]] = dict.fromkeys(["model", *names], (done.digest,))
    learned: dict[str, tuple[str, ...]] = {"examples": (done.digest,)} if "iterations" in job.settings else job.inputs
    return Finished(Result(made, (read,)), [done], learned=learned)
