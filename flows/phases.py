"""The stages of a recipe, in order: sample, verify, filter, train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lib import plan
from lib.job import Result
from lib.plan import Ground
from lib.recipe import Recipe
from lib.round_record import RoundRecord
from tasks.filter import filter
from tasks.sample import sample
from tasks.train import train
from tasks.verify import verify
from tasks.workshop import Workshop

STAGES = {"sample": sample, "verify": verify, "filter": filter, "train": train}


def run_phases(recipe: Recipe, ground: Ground, record: RoundRecord, shop: Workshop, save: Callable[[RoundRecord], None]) -> None:
    """Sample, verify, filter and train, as the recipe's phases name them; the models made are in the record."""
    done: dict[str, Result] = {}
    for phase, stage in recipe.stages():
        read = plan.reading(phase, stage, done, ground)
        finished = STAGES[stage.verb](phase, stage, read, ground, shop)
        done[f"{phase.name}/{stage.label}"] = finished.result
        if stage.verb == "train":
            record.made[phase.role] = finished.result.made["model"][0]
            made = {**ground.models.get(f"phase:{phase.name}", {}), phase.role: record.made[phase.role]}
            ground = replace(ground, models={**ground.models, f"phase:{phase.name}": made})
        finished.note(record, f"{phase.name}/{stage.label}", stage.verb, read)
        save(record)
