"""One round: the phases in order, then evaluate, then the gate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows.desk import Desk
from flows.phases import run_phases
from flows.stopping import stopped
from lib.errors import BudgetSpent
from lib.job import Result
from lib.overrides import recorded
from lib.plan import Ground
from lib.round_record import RoundRecord
from tasks.alarms import watch
from tasks.evaluate import evaluate, items, metric_rows
from tasks.outcome import failure_told
from tasks.stage import Finished


@flow(name="round", flow_run_name="{campaign} round {number}")
def run_round(
    campaign: str, number: int, attempt: int = 1, supersedes: str = "", overrides: dict[str, str] | None = None, root_flow_run: str = ""
) -> dict[str, Any] | State[Any]:
    """Run one attempt at a round and return its record; what is in the store already is reused.

    `overrides` are changes to the recipe for this round alone; None leaves it those that a rerun gave it.
    """
    with Desk.at(campaign) as desk, failure_told(campaign, number, attempt):
        started = time.monotonic()
        changes = recorded(desk.folder, number) if overrides is None else overrides
        try:
            ground = desk.ground(number, attempt, changes)
            record = desk.begun(ground, supersedes, changes)
            record.flow_run, record.root_flow_run = str(flow_run.id or ""), root_flow_run
            run_phases(desk.recipe_of(record), ground, record, desk.shop, desk.save)
            evaluate_round(ground, record, desk)
        except BudgetSpent as spent:
            return stopped(spent, desk.folder)
        record.seconds = time.monotonic() - started
        desk.finish(record)
        return asdict(record)


def evaluate_round(ground: Ground, record: RoundRecord, desk: Desk) -> None:
    """Measure the round's models on validation, and let the gate's own split decide, role by role, which become champion."""
    models = record.judged(desk.recipe_of(record).evaluators)
    measure(models, "validation", ground, record, desk)
    desk.save(record)
    record.decide(decide(models, ground, record, desk))
    watch(desk.recipe_of(record), record, desk.first(record), ground.held_out, desk.shop)


def decide(models: Mapping[str, str], ground: Ground, record: RoundRecord, desk: Desk) -> dict[str, dict[str, Any]]:
    """The gate's word on each role's model, against that role's champion on the same problems; the first has none to meet."""
    recipe = desk.recipe_of(record)
    gate = recipe.gate
    if gate is None:
        return {role: {"accepted": True, "sentence": "accepted: this recipe has no gate"} for role in models}
    found = measure(models, "gate", ground, record, desk)
    known = {} if record.round == 0 else ground.models["champion"]
    champions = {role: known[role] for role in models if role in known}
    met = evaluate(recipe, champions, "gate", desk.held_out["gate"], ground, desk.shop)
    return {
        role: asdict(
            gate.decide(
                items(found, recipe, models, role, desk.shop),
                items(met, recipe, champions, role, desk.shop) if role in champions else None,
                ground.seed,
            )
        )
        for role in models
    }


def measure(models: Mapping[str, str], split: str, ground: Ground, record: RoundRecord, desk: Desk) -> Finished:
    """Evaluate models (role → digest) on one split and put the figures into the record, which the caller writes."""
    recipe = desk.recipe if split == "test" else desk.recipe_of(record)  # every model's closing figures are taken alike
    finished = evaluate(recipe, models, split, desk.held_out[split], ground, desk.shop)
    record.metrics.extend(metric_rows(finished, desk.shop))
    finished.note(record, f"evaluate/{split}", "evaluate", Result({"problems": desk.held_out[split]}))
    return finished
