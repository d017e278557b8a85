"""How Prefect runs one job: cached under its content key, retried when its child died, and never believed unverified."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import Task, exponential_backoff
from prefect.utilities.annotations import quote

from lib.budget import Cost
from lib.errors import ChildCrashed
from lib.job import Job
from tasks.workshop import Done, Workshop


def _content_key(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    return str(parameters["key"])  # computed before the task, where an error is seen; Prefect swallows one in here


def _worth_retrying(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Only a child that was killed or crashed is worth another; what raised would raise again."""
    return isinstance(state.result(raise_on_failure=False), ChildCrashed)


@task(
    cache_policy=CacheKeyFnPolicy(cache_key_fn=_content_key),
    persist_result=True,
    result_serializer="json",
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=exponential_backoff(1),
    retry_jitter_factor=0.5,
    retry_condition_fn=_worth_retrying,
)
def make(label: str, key: str, shop: Workshop, job: Job, ingredients: dict[str, Any]) -> dict[str, Any]:
    """Make a job's result; what Prefect keeps is this small manifest."""
    made = shop.make(job, key, ingredients)
    return {"key": made.key, "version": made.version, "digest": made.digest, "rows": made.rows}


def publish(shop: Workshop, job: Job) -> Done:
    """A job's result, from the store if it is there and whole, else made now."""
    return publish_all(shop, [job])[0]


def publish_all(shop: Workshop, jobs: list[Job]) -> list[Done]:
    """The results of a stage's shards, in order."""
    try:
        return [_publish(shop, job) for job in jobs]
    finally:
        shop.stand_back()


def _publish(shop: Workshop, job: Job) -> Done:
    if (foreseen := shop.foresee(job)) is not None:
        return foreseen
    key, ingredients = shop.key_of(job)
    hit = None if shop.is_forced(job) else shop.known(job, key)
    if hit is None:
        shop.afford(job)
    given: tuple[Any, ...] = (quote(shop), quote(job), quote(ingredients))  # Prefect would walk through them otherwise
    manifest = make.with_options(refresh_cache=hit is None)(str(job.label), key, *given)
    made = hit or shop.store.read(key, int(manifest["version"]))
    shop.notice(job.label, 1, 1)
    stats = shop.store.stats(made.key, made.version)
    return Done(job.label, made, hit is not None, Cost.of(stats.get("cost", {})), stats.get("label") == str(job.label))
