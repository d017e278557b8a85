"""How the models of a campaign stand on a split, and one against another over the same problems."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lib import records, tables
from lib.campaign import CampaignFolder
from lib.errors import UserError
from lib.home import Home
from lib.statistics import paired_bootstrap
from lib.store import Store


@dataclass(frozen=True, slots=True)
class Standing:
    """One model of one campaign on the test split."""

    campaign: str
    recipe: str
    round: int
    state: str
    metrics: dict[str, tuple[float, float | None]]
    """Metric → (value, standard error)."""
    items: dict[str, dict[str, float]]
    """Metric → problem id → value."""


METRICS = ("pass_at_1", "pass_at_8", "greedy_accuracy", "nll_correct", "nll_wrong")
"""What models are compared by, where they were measured in it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One model against another on the same problems."""

    what: str
    metric: str
    difference: float
    low: float
    high: float
    n: int


def standings(home: Home, name: str, split: str = "test") -> list[Standing]:
    """Every model of a campaign that has figures on a split, the base model first. Raises UserError if none has any."""
    folder = CampaignFolder(home, name)
    campaign = folder.load()
    store = Store(home.store)
    found = []
    for record in folder.finished():
        references = record.stages.get(f"evaluate/{split}", {}).get("made", {})
        if not references:  # a round made since the test split was read
            continue
        metrics = tables.read([store.folder(r) / "metrics.parquet" for r in references["metrics"]], records.METRICS).to_pylist()
        items = tables.read([store.folder(r) / "metric_items.parquet" for r in references["metric_items"]], records.METRIC_ITEMS)
        values: dict[str, dict[str, float]] = {}
        for row in items.to_pylist():
            values.setdefault(row["metric"], {}).setdefault(row["problem_id"], row["value"])
        figures = {row["metric"]: (row["value"], row["stderr"]) for row in reversed(metrics) if row["slice"] == "all"}
        found.append(Standing(name, campaign.recipe_name, record.round, record.state, figures, values))
    if not found:
        raise UserError(f"campaign '{name}' has no {split} figures yet; finish it with: roundhouse improve {name}")
    return found


def champion_of(found: list[Standing]) -> Standing:
    """The standing of the model that the campaign ended with: its last accepted one."""
    return [standing for standing in found if standing.state == "accepted"][-1]


def difference(new: Standing, old: Standing, metric: str, what: str, seed: int = 0) -> Difference:
    """new - old in a metric, over the problems that both have, with a 95 % paired bootstrap interval."""
    mine, theirs = new.items.get(metric, {}), old.items.get(metric, {})
    shared = sorted(mine.keys() & theirs.keys())
    if not shared:
        raise UserError(f"{what}: no problems with '{metric}' in common; compare campaigns over the same problems")
    gaps = [mine[p] - theirs[p] for p in shared]
    low, high = paired_bootstrap(gaps, seed)
    return Difference(what, metric, math.fsum(gaps) / len(gaps), low, high, len(gaps))
