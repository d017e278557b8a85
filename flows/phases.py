"""The stages of a recipe, in order: what its controllers decide, then sample, verify, filter, train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lib import plan
from lib.job import Result
from lib.plan import Ground
from lib.recipe import Phase, Recipe
from lib.round_record import RoundRecord
from tasks.control import control, followed
from tasks.filter import filter
from tasks.sample import sample
from tasks.train import train
from tasks.verify import verify
from tasks.workshop import Workshop

STAGES = {"sample": sample, "verify": verify, "filter": filter, "train": train}


def run_phases(recipe: Recipe, ground: Ground, record: RoundRecord, shop: Workshop, save: Callable[[RoundRecord], None]) -> None:
    """Sample, verify, filter and train, as the recipe's phases name them; the models made are in the record."""
    done: dict[str, Result] = {}
    drawn = ground.problems
    for planned in recipe.phases_of(ground.label.round):
        phase, ground = controlled(planned, replace(ground, problems=drawn), record, shop, save)
        for stage in phase.pipeline:
            read = plan.reading(phase, stage, done, ground)
            finished = STAGES[stage.verb](phase, stage, read, ground, shop)
            done[f"{phase.name}/{stage.label}"] = finished.result
            if stage.verb == "train":
                record.made[phase.role] = finished.result.made["model"][0]
                made = {**ground.models.get(f"phase:{phase.name}", {}), phase.role: record.made[phase.role]}
                latest = {**ground.models.get("latest", {}), phase.role: record.made[phase.role]}
                ground = replace(ground, models={**ground.models, f"phase:{phase.name}": made, "latest": latest})
            finished.note(record, f"{phase.name}/{stage.label}", stage.verb, read)
            save(record)


def controlled(
    phase: Phase, ground: Ground, record: RoundRecord, shop: Workshop, save: Callable[[RoundRecord], None]
) -> tuple[Phase, Ground]:
    """The phase, and what it stands on, as its controllers decide, each on what those before it left."""
    for name, controller in phase.deciders.items():
        finished = control(phase, name, controller, ground, shop)
        finished.note(record, f"{phase.name}/{name}", "control", Result({}, finished.result.read))
        save(record)
        phase, ground = followed(phase, name, finished, ground, shop)
    return phase, ground
