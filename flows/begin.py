"""How a campaign begins: its starting model, built in or adopted, and its fixed settings on disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.phases import run_phases
from flows.stopping import passed, stopped
from lib import models, opened
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.errors import BudgetSpent
from lib.home import Home
from lib.job import Job, Label
from lib.opening import WARM_PROBLEMS, Opening
from lib.plan import Ground
from lib.problems.countdown import Countdown
from lib.recipe import Recipe
from lib.round_record import RoundRecord
from lib.small_model import TEXT, SmallLlama
from lib.soundness import external_models
from lib.strategy import Strategy
from tasks.problems import draw
from tasks.publish import publish
from tasks.workshop import Notice, Workshop


def open_campaign(folder: CampaignFolder, opening: Opening, recipe: Recipe, source: Strategy, shop: Workshop) -> None:
    """Make or adopt the base model and write campaign.json; stopped half-way, the same call goes on."""

    @flow(name="begin", flow_run_name=folder.name)
    def begin() -> dict[str, Any] | State[Any]:
        try:
            _open(folder, opening, recipe, source, shop)
        except BudgetSpent as spent:
            return stopped(spent, folder)
        return {}

    passed(begin())


def _open(folder: CampaignFolder, opening: Opening, recipe: Recipe, source: Strategy, shop: Workshop) -> None:
    settings = source.model_dump(mode="json")
    exclude: tuple[str, ...] = ()
    replay: dict[str, tuple[str, ...]] = {}
    if opening.model is None:
        record = warm_start(folder.name, opening, source, shop, recipe)
        folder.write_base(record)
        base = record.made["policy"]
        exclude = tuple(dict.fromkeys(ref for stage in record.stages.values() for ref in stage["read"].get("problems", ())))
        replay = {"base": _last_learned(record)}
    else:
        base = adopt(opening.model, folder.name, shop)
    folder.create(
        Campaign(
            name=folder.name,
            recipe_name=Path(opening.recipe).stem,
            recipe=recipe.dump(),
            seed=opening.seed,
            problems=ProblemPlan(settings, opening.counted(source), 0, exclude, opening.fresh),
            base=dict.fromkeys(["policy", *recipe.trained_roles], base),
            replay=replay,
            external=_external(folder.name, recipe, shop),
            rounds=opening.rounds,
            attempts=opening.attempts,
            opening=opened.record(opening),
        )
    )


def _last_learned(record: RoundRecord) -> tuple[str, ...]:
    """The examples that the last training of a warm start learned from."""
    learned = [stage["learned"]["examples"] for stage in record.stages.values() if stage["verb"] == "train"]
    return tuple(learned[-1])


def _external(campaign: str, recipe: Recipe, shop: Workshop) -> dict[str, dict[str, str]]:
    """Every `external:PATH` of the recipe → the roles that its model plays → the adopted model."""
    found: dict[str, dict[str, str]] = {}
    for reference, roles in external_models(recipe).items():
        found[reference] = dict.fromkeys(roles, adopt(reference.removeprefix("external:"), campaign, shop))
    return found


def warm_start(campaign: str, opening: Opening, source: Strategy, shop: Workshop, recipe: Recipe | None = None) -> RoundRecord:
    """The built-in model: initialised from the seed, then one pass of the recipe of its warm start over worked solutions."""
    started = time.monotonic()
    warm = opening.warm_start_of(source, recipe)
    start = initialise(campaign, SmallLlama(), opening.seed, shop)
    problems = draw(ProblemPlan(source.model_dump(mode="json"), {"train": WARM_PROBLEMS}), "train", campaign, shop)
    ground = warm_ground(campaign, opening.seed, warm, problems, start)
    record = RoundRecord(campaign, 0, 1, state="accepted", start={"policy": start})
    run_phases(warm, ground, record, shop, lambda _: None)
    record.seconds = time.monotonic() - started
    return record


def warm_ground(campaign: str, seed: int, warm: Recipe, problems: tuple[str, ...], start: str) -> Ground:
    """What the recipe of a warm start stands on: the model of random weights, and its own engines."""
    values = warm.dump()
    models = {"base": {"policy": start}, "previous": {"policy": start}}
    return Ground(Label(campaign, 0, "", ""), seed, values["engine"], problems, (), models, {}, {}, engines=values["engines"])


def initialise(campaign: str, model: SmallLlama, seed: int, shop: Workshop) -> str:
    """A model with random weights; returns its digest."""
    label = Label(campaign, 0, "base", "initialise")
    return publish(shop, Job("initialise", label, {"model": model.model_dump(mode="json")}, seed=seed)).digest


def make_model(opening: Opening, home: Home, notice: Notice, *, text: bool = False) -> str:
    """Build and warm-start the built-in model with no campaign around it, or build one for text; returns its digest."""
    with Workshop.opened(home, notice=notice) as shop:

        @flow(name="model-new")
        def make() -> str:
            if text:
                return initialise("model", TEXT, opening.seed, shop)
            return warm_start("model", opening, Countdown(), shop).made["policy"]

        return make()


def adopt(source: str, campaign: str, shop: Workshop) -> str:
    """Copy a model folder from outside, or one of the hub, into the store; returns its digest."""
    folder = models.find(source)
    base = models.base_of(folder)
    settings = {"files": opened.files_of(folder), **({"base": opened.files_of(base)} if base else {})}
    job = Job("adopt", Label(campaign, 0, "base", "adopt"), settings, outside={"source": str(folder.resolve())})
    return publish(shop, job).digest
