"""Problems: the rows of every split that a campaign uses, in shards."""

from __future__ import annotations

from lib.campaign_settings import ProblemPlan
from lib.job import Job, Label
from tasks.publish import publish
from tasks.workshop import Workshop


def held_out(problem_plan: ProblemPlan, campaign: str, shop: Workshop) -> dict[str, tuple[str, ...]]:
    """Split → references to the shards of its problems, for every split but train."""
    return {split: draw(problem_plan, split, campaign, shop) for split in problem_plan.counts if split != "train"}


def training(problem_plan: ProblemPlan, number: int, campaign: str, shop: Workshop) -> tuple[str, ...]:
    """References to the shards of a round's training problems."""
    return draw(problem_plan, "train", campaign, shop, max(1, number) if problem_plan.fresh else 1)


def draw(problem_plan: ProblemPlan, split: str, campaign: str, shop: Workshop, window: int = 1) -> tuple[str, ...]:
    """References to the shards of one window of a split's problems."""
    job = Job(
        "problems",
        Label(campaign, window if split == "train" else 0, "problems", split),
        {"source": problem_plan.source, "split": split, "count": problem_plan.counts[split], "window": window},
        {"exclude": problem_plan.exclude} if split == "train" and problem_plan.exclude else {},
        seed=problem_plan.seed,
    )
    return tuple(shop.shards_of(publish(shop, job).digest))
