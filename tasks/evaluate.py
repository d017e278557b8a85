"""Evaluate: measure one model on one split, with the same draws for every model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from lib import plan, records, tables, undecided
from lib.job import Result
from lib.plan import Ground
from lib.recipe import Recipe
from lib.roles import POLICY, measured_role
from tasks.publish import publish, publish_all
from tasks.stage import Finished
from tasks.verify import refuse_undecided
from tasks.workshop import Done, Workshop


def evaluators_of(recipe: Recipe, models: Mapping[str, str]) -> list[Any]:
    """The evaluators of a recipe that measure one of these models' roles, those of the policy first."""
    found = [evaluator for evaluator in recipe.evaluators if measured_role(evaluator) in models]
    return sorted(found, key=lambda evaluator: measured_role(evaluator) != POLICY)


def evaluate(recipe: Recipe, models: Mapping[str, str], split: str, problems: tuple[str, ...], ground: Ground, shop: Workshop) -> Finished:
    """Metrics and per-item rows of every evaluator of the recipe that measures one of these models (role → digest)."""
    jobs: list[Done] = []
    measured: list[Done] = []
    for evaluator in evaluators_of(recipe, models):
        model = models[measured_role(evaluator)]
        sampled = publish_all(shop, plan.evaluate_sample_jobs(evaluator, model, split, problems, ground))
        rivals = publish_all(shop, plan.rival_sample_jobs(evaluator, model, split, problems, ground))
        drawn = Result({"problems": problems, "completions": _digests(sampled), "rivals": _digests(rivals)})
        verified = publish_all(shop, plan.evaluate_verify_jobs(evaluator, model, split, drawn, ground))
        refuse_undecided(f"evaluate {split}", undecided.LIMIT, verified, shop)
        besides = {"nodes": _holding("nodes", sampled, shop), "token_scores": _holding("token_scores", verified, shop)}
        fed = Result({"verdicts": _digests(verified), **besides}, (drawn,))
        measured.append(publish(shop, plan.evaluate_job(evaluator, model, split, fed, ground)))
        jobs += [*sampled, *rivals, *verified, measured[-1]]
    digests = _digests(measured)
    return Finished(Result({"metrics": digests, "metric_items": digests}), jobs)


def _digests(done: Iterable[Done]) -> tuple[str, ...]:
    return tuple(d.digest for d in done)


def _holding(table: str, done: list[Done], shop: Workshop) -> tuple[str, ...]:
    """The artifacts of these jobs, where each of them has the table."""
    return _digests(done) if all(table in shop.tables_made(d.digest) for d in done) else ()


def metric_rows(finished: Finished, shop: Workshop) -> list[dict[str, Any]]:
    """The metrics of a finished evaluation, as rows."""
    paths = [shop.store.folder(ref) / "metrics.parquet" for ref in finished.result.made["metrics"]]
    return tables.read(paths, records.METRICS).to_pylist()


def items(finished: Finished, recipe: Recipe, models: Mapping[str, str], role: str, shop: Workshop) -> pa.Table:
    """The per-item rows of every evaluator that measured a role, of an evaluation of these models."""
    measured = zip(evaluators_of(recipe, models), finished.result.made["metric_items"], strict=True)
    paths = [shop.store.folder(ref) / "metric_items.parquet" for evaluator, ref in measured if measured_role(evaluator) == role]
    return tables.read(paths, records.METRIC_ITEMS)
