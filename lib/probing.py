"""From a controller to its jobs: the problems that its probes work at, the probes, and the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lib import plan
from lib.errors import UserError
from lib.job import Job, Result
from lib.plan import Ground
from lib.recipe import Phase, Stage

JOBS = {"sample": plan.sample_jobs, "verify": plan.verify_jobs}
"""Verb → the jobs of a stage of a probe."""


def probes(controller: Any) -> Sequence[Mapping[str, Any]]:
    """The settings of each probe; a controller that names none makes none."""
    return tuple(getattr(controller, "probes", ()))


def subset_job(phase: Phase, name: str, controller: Any, ground: Ground) -> Job:
    """Draw the problems that every probe works at."""
    seed = ground.stage_seed(phase.name, name)
    settings = {"count": controller.probe_problems}
    return Job("subset", ground.at(phase.name, name, part="subset"), settings, {"problems": ground.problems}, seed=seed)


def probe_jobs(phase: Phase, name: str, stage: Stage, read: Result, ground: Ground) -> list[Job]:
    """A stage of a probe. Every probe of a controller draws by one seed, so that what differs is what its settings make."""
    jobs = JOBS[stage.verb](phase, stage, read, ground)
    seed = ground.stage_seed(phase.name, f"{name}/{stage.label}")
    labelled = [replace(job.label, stage=name, part=stage.verb) for job in jobs]
    return [replace(job, label=label, seed=seed if job.seed else 0) for job, label in zip(jobs, labelled, strict=True)]


def decide_job(phase: Phase, name: str, controller: Any, probed: Sequence[Result], ground: Ground) -> Job:
    """The decision, from what the probes and the last finished attempt at a round left."""
    inputs = {"problems": ground.problems, **_of_probes(probed), **_before(name, controller, ground)}
    own = ground.before.get(f"{phase.name}/{name}")
    if own is not None:
        inputs["state"] = own.made.get("state", ())
    settings = {
        "controller": controller.model_dump(mode="json"),
        "name": name,
        "probes": len(probed),
        "round": ground.label.round,
        "rounds": ground.rounds,
    }
    given = {table: refs for table, refs in inputs.items() if refs}
    return Job("control", ground.at(phase.name, name), settings, given, seed=ground.stage_seed(phase.name, name))


def _of_probes(probed: Sequence[Result]) -> dict[str, tuple[str, ...]]:
    found = {"probed": probed[0].every("problems")} if probed else {}
    for number, result in enumerate(probed):
        found |= {f"{table}.{number}": result.every(table) for table in ("completions", "verdicts")}
    return found


def _before(name: str, controller: Any, ground: Ground) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for path in getattr(controller, "reads", ()):
        if ground.before and path not in ground.before:
            raise UserError(f"controller '{name}' reads '{path}', which the round before has not; it has {', '.join(ground.before)}")
        for table in getattr(controller, "needs", ()) if path in ground.before else ():
            found[f"{table} of {path}"] = ground.before[path].every(table)
    return found
