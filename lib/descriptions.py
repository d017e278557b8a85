"""Descriptions: the markdown that MLflow's own pages show of an experiment, a run, a registered model and a version."""

from __future__ import annotations

from collections.abc import Iterable

from lib.lineage_page import FILE, clipped
from lib.tracking import Experiment, Logged, Version
from lib.tracking_names import model_name

_NOTE = "mlflow.note.content"
"""The tag that holds the description of a run or of an experiment."""

_LONGEST_NOTE, _LONGEST = 8000, 5000
"""Characters that MLflow takes as a tag of a run, and as the description of a model."""


def describe_run(experiment: Experiment, run: Logged, page: str) -> None:
    """Beside the run's figures, and whole as its artifact."""
    experiment.attach(run, FILE, page)
    experiment.client.set_tag(run.id, _NOTE, clipped(_below_title(page), _LONGEST_NOTE))


def describe_version(experiment: Experiment, version: Version, page: str) -> None:
    experiment.client.update_model_version(version.name, version.number, clipped(page, _LONGEST))


def describe_campaign(experiment: Experiment, run: Logged, page: str, roles: Iterable[str]) -> None:
    """The campaign's page stands on its run, its experiment and its registered models."""
    describe_run(experiment, run, page)
    experiment.client.set_experiment_tag(experiment.id, _NOTE, clipped(_below_title(page), _LONGEST_NOTE))
    for role in roles:
        experiment.client.update_registered_model(model_name(experiment.campaign, role), clipped(_below_title(page), _LONGEST))


def _below_title(page: str) -> str:
    """MLflow shows a run's title above, and folds a long description after its first lines."""
    return page.partition("\n\n")[2]
