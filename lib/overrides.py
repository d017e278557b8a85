"""Settings of the recipe that a rerun changed for one round. The campaign's own recipe stays as it is, and so do other rounds.

They stand in the round's record, and go with the round: a later rerun of it, another attempt at it, and the round made
again after an earlier one had changed, all have them. A setting that says what the campaign's recipe says is no change,
so `--set` with the campaign's own value takes one back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lib import recipe as recipes
from lib import recipe_settled, soundness
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign
from lib.errors import UserError
from lib.files import read_json
from lib.opening import guarded
from lib.recipe import Recipe
from lib.strategy import load

Settings = Mapping[str, str]
"""Dotted path → the value as it was typed, as `lib.recipe.override` takes them."""


def recorded(folder: CampaignFolder, number: int) -> dict[str, str]:
    """What was changed for a round, from its newest record: the one that stands, else the last that was set aside."""
    kept = [path for place in (f"round-{number:03d}", f"round-{number:03d}-attempt-*") for path in folder.path.glob(f"{place}/round*.json")]
    return dict(read_json(min(kept, key=_age)).get("overrides", {})) if kept else {}


def applied(campaign: Campaign, settings: Settings) -> Campaign:
    """The campaign as a round with these changes runs it. Raises UnknownName with the near miss for a setting that is none."""
    return replace(campaign, recipe=_changed(campaign, settings).dump()) if settings else campaign


def needed(campaign: Campaign, settings: Settings) -> dict[str, str]:
    """Those of the settings that change anything: not what the recipe says anyway, nor what a later one says again.

    Raises UnknownName with the near miss, or UserError for a recipe that could not be run, as when a campaign begins.
    """
    recipe = _changed(campaign, settings)
    for reference in soundness.external_models(recipe).keys() - campaign.external.keys():
        raise UserError(f"'{reference}' is not a model that campaign '{campaign.name}' began with; begin another campaign to use it")
    soundness.refuse_unsound(recipe, replayable=frozenset(campaign.replay))
    wanted = recipe.dump()
    kept = dict(settings)
    for path in settings:
        fewer = {name: value for name, value in kept.items() if name != path}
        try:
            same = _changed(campaign, fewer).dump() == wanted
        except UserError:  # a later one stands on it
            same = False
        if same:
            kept = fewer
    return kept


def _changed(campaign: Campaign, settings: Settings) -> Recipe:
    """The campaign's recipe with the settings typed as for `improve`: positions count without the guard put before them."""
    own = load(campaign.problems.source).verifiers()
    return guarded(recipe_settled.with_verifiers(recipes.override(_unguarded(campaign), dict(settings)), own))


def _unguarded(campaign: Campaign) -> Recipe:
    """The recipe without the guard of held-out problems that stands first in its filter stages since the beginning."""
    values = Recipe.model_validate(campaign.recipe).dump()
    guard = values["decontaminate"]
    for phase in values["phases"]:
        for holder, name in [(phase, "filters"), *((stage, "run") for stage in phase["stages"] if stage["verb"] == "filter")]:
            if guard is not None and list(holder[name][:1]) == [guard]:
                holder[name] = list(holder[name][1:])
    for trainer in recipe_settled.online_trainers(values):
        if guard is not None and list(trainer["filters"][:1]) == [guard]:
            trainer["filters"] = list(trainer["filters"][1:])
    return Recipe.model_validate(values)


def _age(path: Path) -> tuple[int, int]:
    """The last attempt first; in it the record that stands, then those set aside, newest first."""
    attempt = re.search(r"-attempt-(\d+)$", path.parent.name)
    aside = re.fullmatch(r"round\.superseded-(\d+)\.json", path.name)
    return -int(attempt[1]) if attempt else -1, -int(aside[1]) if aside else -(10**9)
