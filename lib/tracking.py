"""The only module that talks to MLflow: one campaign's experiment, written so that every step may be taken twice.

Whatever is asked for is looked up by its tag before it is made, so a kill between making and noting leaves nothing double.
MLflow takes 36 characters of a dataset's digest; the whole one is in a tag. Rows never go there, only pointers.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.addresses import shown, silence
from lib.errors import RoundhouseError
from lib.events import DatasetRef, ModelRef
from lib.files import locked
from lib.tracking_names import TAG, experiment_name, metric_name, model_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

DIGEST_CHARACTERS = 36
"""MLflow refuses a longer dataset digest."""

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",  # else it replaces the handlers of alembic and sqlalchemy
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Else MLflow's pages guess what an experiment is for, and ask."""


class TrackingFailed(RoundhouseError):
    """MLflow refused, or failed at what was asked; the message is one line."""


class TrackingDown(TrackingFailed):
    """MLflow does not answer at all, so that asking for anything else is no use."""


@contextmanager
def explained(tracking_uri: str, *, first: bool = False) -> Iterator[None]:
    """Turn what MLflow, its database or its server raise into TrackingFailed; `first`: nothing was asked before.

    A server that fails (5xx) at the first thing asked, the experiment, is down; one that fails later may choke on what it
    was given.
    """
    _settle()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:  # an OSError: no folder, no disk, no server
        status = error.get_http_status_code() if isinstance(error, MlflowException) else 500
        lost = next((e for e in (error, error.__context__) if isinstance(e, OSError)), None)  # those of `requests` are
        refused = lost is None or "error responses" in str(lost)  # it did answer: that it failed
        kind = TrackingDown if not refused or (first and status >= 500) else TrackingFailed
        why = " ".join(str(error).split())[:300]
        if lost is not None and tracking_uri.startswith("http"):
            why = silence(lost, os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"])
        raise kind(shown(f"MLflow at {tracking_uri}: {why}")) from error


def connect(tracking_uri: str) -> MlflowClient:
    """A client for this address; the environment's own address stays as it was."""
    _settle()
    import mlflow
    from mlflow.store.db import utils
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

    _artifact_repos_cache.clear()  # by run alone: after another address it would take a run's files there
    utils.MAX_RETRY_COUNT = 1  # its 10 are 100 s of waiting for a database that is not there
    database = sqlite_file(tracking_uri)
    if database is not None:
        _make_tables(database)
    given = os.environ.get("MLFLOW_TRACKING_URI")
    # The sqlite registry looks models up at the process-wide address; setting that also writes the environment, undone here.
    mlflow.set_tracking_uri(tracking_uri)
    if given is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    else:
        os.environ["MLFLOW_TRACKING_URI"] = given
    return mlflow.MlflowClient(tracking_uri=tracking_uri)


def _settle() -> None:
    """Before MLflow's import: no telemetry, no retries (the outbox is the retry), no INFO lines, no addresses printed."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs a traceback of what it raises as well


def sqlite_file(tracking_uri: str) -> Path | None:
    """The database file of a sqlite address; None for a server or another database."""
    return Path(tracking_uri.removeprefix("sqlite:///")) if tracking_uri.startswith("sqlite:///") else None


def _make_tables(database: Path) -> None:
    """Make a new database aside and rename it: a kill while MLflow makes its tables leaves a file it can never open again."""
    import mlflow

    if database.exists():
        return
    with locked(database.with_name(f".{database.name}.lock")):
        if not database.exists():
            aside = database.with_name(f".{database.name}.making")
            aside.unlink(missing_ok=True)
            mlflow.MlflowClient(tracking_uri=f"sqlite:///{aside}").search_experiments(max_results=1)
            aside.replace(database)


def versions(client: MlflowClient, name: str, digest: str) -> list[Any]:
    """The version of a registered model that has this digest, or none."""
    return list(client.search_model_versions(f"name = '{name}' and tags.`{TAG}digest` = '{digest}'"))


@dataclass(frozen=True, slots=True)
class Logged:
    """A run as it stands in MLflow."""

    id: str
    title: str
    is_finished: bool
    tags: Mapping[str, str]
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model."""

    name: str
    number: str
    run: str
    """The id of the run that made it."""


class Experiment:
    """A campaign's experiment, made if it is not there; `at_ms` is the time that new runs and figures get."""

    def __init__(self, tracking_uri: str, campaign: str, at_ms: int) -> None:
        self.client = connect(tracking_uri)
        self.campaign = campaign
        self.at_ms = at_ms
        found = self.client.get_experiment_by_name(experiment_name(campaign))
        self.id = str(found.experiment_id) if found else self._create(tracking_uri)

    def _create(self, tracking_uri: str) -> str:
        """Beside a sqlite file artifacts go to `mlartifacts`; a server has its own place for them."""
        database = sqlite_file(tracking_uri)
        place = (database.parent / "mlartifacts" / self.campaign).resolve().as_uri() if database else None
        return str(self.client.create_experiment(experiment_name(self.campaign), place, _KIND))

    def run(self, title: str, parent: Logged | None, identity: Mapping[str, str], place: Mapping[str, str]) -> Logged:
        """The run with these identity tags, made under `parent` and with the tags of `place` if there is none."""
        found = self.newest(identity)
        if found:
            return found
        tags = {**_tagged({**identity, **place}), **({"mlflow.parentRunId": parent.id} if parent else {})}
        return as_logged(self.client.create_run(self.id, self.at_ms, tags, title))

    def newest(self, tags: Mapping[str, str]) -> Logged | None:
        """The run that began last among those with these tags."""
        where = " and ".join(f"tags.`{name}` = '{value}'" for name, value in _tagged(tags).items())
        found = self.client.search_runs([self.id], where, max_results=1, order_by=["attributes.start_time DESC"])
        return as_logged(found[0]) if found else None

    def logged(self, run_id: str) -> Logged:
        return as_logged(self.client.get_run(run_id))

    def write(self, run: Logged, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Parameters and tags. MLflow never changes a parameter, so another value for a known one becomes a tag."""
        from mlflow.entities import Param, RunTag

        asked = {metric_name(name): value for name, value in params.items()}
        new = [Param(name, value) for name, value in asked.items() if name not in run.params]
        changed = {f"changed.{name}": value for name, value in asked.items() if run.params.get(name, value) != value}
        rows = [RunTag(name, value) for name, value in _tagged({**tags, **changed}).items()]
        for start in range(0, max(len(new), len(rows)), 100):  # the most that MLflow takes at once
            self.client.log_batch(run.id, params=new[start : start + 100], tags=rows[start : start + 100])

    def measure(self, run: Logged, figures: Mapping[str, float], step: int) -> None:
        """Metrics of a run; names as `metric_name` makes them."""
        from mlflow.entities import Metric

        rows = [Metric(name, value, self.at_ms, step) for name, value in figures.items()]
        for start in range(0, len(rows), 1000):
            self.client.log_batch(run.id, metrics=rows[start : start + 1000])

    def link_inputs(self, run: Logged, datasets: Iterable[DatasetRef], models: Iterable[ModelRef]) -> None:
        """What a run read."""
        from mlflow.entities import LoggedModelInput

        ids = dict.fromkeys(self.model(ref, None) for ref in models)
        rows = _dataset_inputs(datasets)
        self.client.log_inputs(run.id, rows[:1000], [LoggedModelInput(i) for i in ids])
        for start in range(1000, len(rows), 1000):  # the most that MLflow takes at once
            self.client.log_inputs(run.id, rows[start : start + 1000])

    def link_outputs(self, run: Logged, models: Iterable[ModelRef], step: int) -> None:
        """The models that a run made; MLflow refuses a link that it has already, and its server an empty list of them."""
        from mlflow.entities import LoggedModelOutput

        outputs = self.client.get_run(run.id).outputs
        known = {output.model_id for output in outputs.model_outputs} if outputs else set()
        new = dict.fromkeys(i for ref in models if (i := self.model(ref, run)) not in known)
        if new:
            self.client.log_outputs(run.id, [LoggedModelOutput(i, step) for i in new])

    def model(self, ref: ModelRef, run: Logged | None) -> str:
        """The id of the logged model of a digest; if new, `run` made it. Its weights stay where they are."""
        found = list(self.client.search_logged_models([self.id], f"tags.`{TAG}digest` = '{ref.digest}'", max_results=1))
        tags = {**_tagged({"digest": ref.digest, "uri": ref.uri}), "mlflow.model.isExternal": "true"}
        source, title = (run.id if run else None), f"{ref.role}-{ref.digest[:12]}"
        model = found[0] if found else self.client.create_logged_model(self.id, title, source, tags)
        if model.status != "READY":
            self.client.finalize_logged_model(model.model_id, "READY")
        return str(model.model_id)

    def version(self, ref: ModelRef, run: Logged, tags: Mapping[str, str]) -> Version:
        """The registered version of a digest in its role, made from `run` if new; the first of all is the candidate."""
        name = model_name(self.campaign, ref.role)
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        found = versions(self.client, name, ref.digest)
        if not found:
            model = self.model(ref, run)
            facts = _tagged({**tags, "role": ref.role, "digest": ref.digest, "uri": ref.uri})
            found = [self.client.create_model_version(name, f"models:/{model}", run.id, facts, model_id=model)]
        if "candidate" not in self.aliases(ref.role):
            self.point("candidate", ref.role, str(found[0].version))
        return Version(name, str(found[0].version), str(found[0].run_id))

    def mark(self, ref: ModelRef, facts: Mapping[str, str]) -> None:
        """Tag every registered version of a digest in its role; nothing where it was never registered."""
        name = model_name(self.campaign, ref.role)
        for found in versions(self.client, name, ref.digest):
            for tag, value in _tagged(facts).items():
                self.client.set_model_version_tag(name, str(found.version), tag, value)

    def aliases(self, role: str) -> Mapping[str, str]:
        """Alias → version of a role's registered model."""
        return {name: str(v) for name, v in self.client.get_registered_model(model_name(self.campaign, role)).aliases.items()}

    def point(self, alias: str, role: str, version: str) -> None:
        """Let an alias of a role's model stand for a version."""
        self.client.set_registered_model_alias(model_name(self.campaign, role), alias, version)

    def attach(self, run: Logged, name: str, text: str) -> None:
        self.client.log_text(run.id, text, name)

    def finish(self, run: Logged) -> None:
        self.client.set_terminated(run.id)


def _dataset_inputs(datasets: Iterable[DatasetRef]) -> list[Any]:
    """One input per table and content, for MLflow would silently drop a second; its contexts are joined."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    groups: dict[tuple[str, str], list[DatasetRef]] = {}
    for ref in datasets:
        groups.setdefault((ref.name, ref.digest), []).append(ref)
    made = []
    for (name, digest), (ref, *more) in groups.items():
        tags = _tagged({"digest": digest, "rows": str(ref.rows), "schema": ref.schema})
        tags["mlflow.data.context"] = ",".join(dict.fromkeys(r.context for r in (ref, *more)))
        source, profile = json.dumps({"uri": ref.uri}), json.dumps({"num_rows": ref.rows})
        dataset = Dataset(name, digest[:DIGEST_CHARACTERS], "local", source, None, profile)
        made.append(DatasetInput(dataset, [InputTag(key, value) for key, value in tags.items()]))
    return made


def as_logged(run: Any) -> Logged:
    """One of MLflow's runs."""
    return Logged(run.info.run_id, str(run.info.run_name), run.info.status == "FINISHED", run.data.tags, run.data.params)


def _tagged(facts: Mapping[str, str]) -> dict[str, str]:
    """Facts as tags of ours; one without a value is left out."""
    return {f"{TAG}{name}": value for name, value in facts.items() if value}
