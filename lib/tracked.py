"""What MLflow says of a campaign, read back as plain data: nothing here writes, and nothing here reads anything of ours."""

from __future__ import annotations

import json
from typing import Any, TypedDict

from lib.errors import UserError
from lib.tracking import Experiment, Logged, as_logged, connect, explained
from lib.tracking_names import TAG, experiment_name, model_name


class TrackedDataset(TypedDict):
    """A dataset input of a run."""

    name: str
    digest: str
    """As MLflow holds it, at most 36 characters."""
    source: dict[str, Any]
    tags: dict[str, str]


class TrackedRun(TypedDict):
    """A run with all that hangs on it; models are ids of `Tracked.models`."""

    id: str
    title: str
    status: str
    parent: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    datasets: list[TrackedDataset]
    models_in: list[str]
    models_out: list[str]


class TrackedVersion(TypedDict):
    """A version of a registered model."""

    name: str
    number: int
    run: str
    model: str
    """The id of its logged model."""
    tags: dict[str, str]
    aliases: list[str]


class Tracked(TypedDict):
    """A campaign in MLflow: runs by when they began, versions by name and number."""

    experiment: str
    runs: list[TrackedRun]
    models: dict[str, dict[str, str]]
    """Logged model id → its tags."""
    versions: list[TrackedVersion]


def tracked(tracking_uri: str, campaign: str) -> Tracked:
    """All that MLflow says of a campaign.

    Raises UserError where MLflow knows no such campaign, TrackingFailed where it does not answer.
    """
    with explained(tracking_uri, first=True):
        client = connect(tracking_uri)
        found = client.get_experiment_by_name(experiment_name(campaign))
    if found is None:
        raise UserError(f"MLflow at {tracking_uri} knows no campaign '{campaign}'; `roundhouse publish` sends what still waits")
    with explained(tracking_uri):
        runs = [client.get_run(run.info.run_id) for run in _every_run(client, found.experiment_id, "")]  # a search leaves models out
        ids = {i for run in runs for i in (*_models_in(run), *_models_out(run))}
        versions = [version for name in _role_names(client, campaign).values() for version in _versions(client, name)]
        ids |= {version["model"] for version in versions}
        models = {i: dict(client.get_logged_model(i).tags) for i in sorted(ids)}
    return Tracked(experiment=str(found.experiment_id), runs=[_run(run) for run in runs], models=models, versions=versions)


def rounds(experiment: Experiment) -> list[Logged]:
    """Every round's run, in order of round, attempt and revision."""
    places = [f"{TAG}{name}" for name in ("round", "attempt", "revision")]
    found = [as_logged(run) for run in _every_run(experiment.client, experiment.id, f"tags.`{TAG}kind` = 'round'")]
    return sorted(found, key=lambda run: [int(run.tags.get(place, 0)) for place in places])


def roles(experiment: Experiment) -> dict[str, str]:
    """Role → the name of its registered model."""
    return _role_names(experiment.client, experiment.campaign)


def _role_names(client: Any, campaign: str) -> dict[str, str]:
    start = model_name(campaign, "")
    names = sorted(model.name for model in client.search_registered_models(f"name LIKE '{start}%'", max_results=1000))
    return {name.removeprefix(start): name for name in names if name.startswith(start)}  # LIKE takes _ for any character


def _every_run(client: Any, experiment: str, where: str) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = client.search_runs([experiment], where, max_results=1000, page_token=token, order_by=["attributes.start_time ASC"])
        found += page
        if not (token := page.token):
            return found


def _versions(client: Any, name: str) -> list[TrackedVersion]:
    aliases = client.get_registered_model(name).aliases
    found = []
    for version in client.search_model_versions(f"name = '{name}'", max_results=1000):
        called = sorted(alias for alias, number in aliases.items() if str(number) == str(version.version))
        model, tags = version.source.removeprefix("models:/"), dict(version.tags)
        number = int(version.version)
        found.append(TrackedVersion(name=name, number=number, run=version.run_id, model=model, tags=tags, aliases=called))
    return sorted(found, key=lambda version: version["number"])


def _run(run: Any) -> TrackedRun:
    return TrackedRun(
        id=run.info.run_id,
        title=run.info.run_name,
        status=run.info.status,
        parent=run.data.tags.get("mlflow.parentRunId", ""),
        tags=dict(run.data.tags),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        datasets=[_dataset(entry) for entry in run.inputs.dataset_inputs] if run.inputs else [],
        models_in=_models_in(run),
        models_out=_models_out(run),
    )


def _models_in(run: Any) -> list[str]:
    return [model.model_id for model in run.inputs.model_inputs] if run.inputs else []


def _models_out(run: Any) -> list[str]:
    return [model.model_id for model in run.outputs.model_outputs] if run.outputs else []


def _dataset(entry: Any) -> TrackedDataset:
    tags = {tag.key: tag.value for tag in entry.tags}
    return TrackedDataset(name=entry.dataset.name, digest=entry.dataset.digest, source=json.loads(entry.dataset.source), tags=tags)
