"""Control: a controller probes where it needs to, and decides on settings and problems of its phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lib import plan, probing
from lib.job import Result
from lib.plan import Ground
from lib.recipe import Phase
from lib.steering import probed, steered
from tasks.publish import publish, publish_all
from tasks.stage import Finished
from tasks.verify import refuse_undecided
from tasks.workshop import Done, Workshop


def control(phase: Phase, name: str, controller: Any, ground: Ground, shop: Workshop) -> Finished:
    """The controller's state and the problems that it chose, if it chose any."""
    jobs: list[Done] = []
    results: list[Result] = []
    if probing.probes(controller):
        jobs.append(publish(shop, probing.subset_job(phase, name, controller, ground)))
        here = replace(ground, problems=tuple(shop.shards_of(jobs[0].digest)))
        for settings in probing.probes(controller):
            result, done = probe(steered(phase, settings, name), name, here, shop)
            results.append(result)
            jobs += done
    jobs.append(publish(shop, probing.decide_job(phase, name, controller, results, ground)))
    made: dict[str, tuple[str, ...]] = {"state": (jobs[-1].digest,)}
    if chosen := tuple(shop.shards_of(jobs[-1].digest)):
        made["problems"] = chosen
    return Finished(Result(made, (ground.problem_result(), *results)), jobs)


def probe(phase: Phase, name: str, ground: Ground, shop: Workshop) -> tuple[Result, list[Done]]:
    """Sample and verify as the phase begins. Raises TooManyUndecided past a stage's limit."""
    done: dict[str, Result] = {}
    jobs: list[Done] = []
    for stage in probed(phase):
        read = plan.reading(phase, stage, done, ground)
        found = publish_all(shop, probing.probe_jobs(phase, name, stage, read, ground))
        if stage.verb == "verify":
            refuse_undecided(f"{name}, {stage.label}", stage.undecided_limit, found, shop)
        table = {"sample": "completions", "verify": "verdicts"}[stage.verb]
        done[f"{phase.name}/{stage.label}"] = Result({table: tuple(d.digest for d in found)}, (read,))
        jobs += found
    return Result({}, tuple(done.values())), jobs


def followed(phase: Phase, name: str, finished: Finished, ground: Ground, shop: Workshop) -> tuple[Phase, Ground]:
    """The phase and its ground as a controller decided on them."""
    settings: Mapping[str, Any] = shop.decided(finished.result.made["state"][0])
    problems = finished.result.made.get("problems", ground.problems)
    return steered(phase, settings, name), replace(ground, problems=problems)
