"""What MLflow has of a campaign, read at once and changed nowhere: its runs, its models' versions and their aliases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lib.tracking import TrackingFailed, connect, explained, sqlite_file
from lib.tracking_names import TAG, experiment_name, model_name

Point = tuple[int, float]
"""A step of a metric's history, and its value there."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run, with the tags that are ours without what they begin with."""

    id: str
    title: str
    is_finished: bool
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    datasets: dict[tuple[str, str], dict[str, str]]
    """(table, digest as MLflow keeps it) → the whole digest, rows, schema, where it lies and what the round did with it."""
    models_in: frozenset[str]
    models_out: frozenset[str]
    """Digests of linked models."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model."""

    number: str
    digest: str
    """As the version's own tag says."""
    logged: str
    """As the logged model that it was made from says."""


@dataclass(slots=True)
class Told:
    """All that MLflow has of a campaign; empty where it has no experiment of it."""

    runs: list[Run] = field(default_factory=list)
    versions: dict[str, list[Version]] = field(default_factory=dict)
    aliases: dict[str, dict[str, str]] = field(default_factory=dict)
    """Role → alias → number of a version."""
    history: Callable[[str, str], list[Point]] = lambda run, metric: []


def read(tracking_uri: str, campaign: str, roles: set[str]) -> Told:
    """Read it. Raises TrackingFailed where MLflow cannot be reached; makes no database where there is none."""
    database = sqlite_file(tracking_uri)
    if database is not None and not database.is_file():
        raise TrackingFailed(f"MLflow at {tracking_uri}: there is no such file")
    with explained(tracking_uri):
        client = connect(tracking_uri)
        found = client.get_experiment_by_name(experiment_name(campaign))
        if found is None:
            return Told()
        experiment = str(found.experiment_id)
        logged = {m.model_id: m.tags.get(f"{TAG}digest", "") for m in _pages(client.search_logged_models, experiment_ids=[experiment])}
        told = Told([_run(client, run.info.run_id, logged) for run in _pages(client.search_runs, experiment_ids=[experiment])])
        for role in sorted(roles):
            name = model_name(campaign, role)
            registered = list(client.search_registered_models(f"name = '{name}'"))
            told.aliases[role] = {alias: str(number) for alias, number in (registered[0].aliases if registered else {}).items()}
            told.versions[role] = [_version(v, logged) for v in _pages(client.search_model_versions, filter_string=f"name = '{name}'")]

    def history(run: str, metric: str) -> list[Point]:
        with explained(tracking_uri):
            points = sorted(client.get_metric_history(run, metric), key=lambda point: (point.step, point.timestamp))
            return [(point.step, point.value) for point in points]

    told.history = history
    return told


def _pages(search: Callable[..., Any], **asked: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(**asked, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _run(client: Any, run_id: str, logged: dict[str, str]) -> Run:
    run = client.get_run(run_id)  # a search leaves out which models went in
    inputs, outputs = run.inputs, run.outputs
    return Run(
        id=run_id,
        title=run.info.run_name or run_id,
        is_finished=run.info.status == "FINISHED",
        tags={name.removeprefix(TAG): value for name, value in run.data.tags.items() if name.startswith(TAG)},
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        datasets={(entry.dataset.name, entry.dataset.digest): _dataset(entry) for entry in (inputs.dataset_inputs if inputs else [])},
        models_in=frozenset(logged.get(m.model_id, m.model_id) for m in (inputs.model_inputs if inputs else [])),
        models_out=frozenset(logged.get(m.model_id, m.model_id) for m in (outputs.model_outputs if outputs else [])),
    )


def _dataset(entry: Any) -> dict[str, str]:
    tags = {tag.key.removeprefix(TAG): tag.value for tag in entry.tags}
    return {
        "digest": tags.get("digest", ""),
        "rows": tags.get("rows", ""),
        "schema": tags.get("schema", ""),
        "context": tags.get("mlflow.data.context", ""),
        "uri": _uri(entry.dataset.source),
    }


def _uri(source: str) -> str:
    try:
        return str(json.loads(source)["uri"])
    except (ValueError, KeyError, TypeError):
        return source


def _version(version: Any, logged: dict[str, str]) -> Version:
    digest = (version.tags or {}).get(f"{TAG}digest", "")
    return Version(str(version.version), digest, logged.get(str(version.source).removeprefix("models:/"), ""))
