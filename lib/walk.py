"""The walk that an auditor takes through MLflow: from a model back to the one that a campaign began with."""

from __future__ import annotations

import json
from typing import Any, TypedDict

from lib.errors import UserError
from lib.tracking import connect, explained, versions
from lib.tracking_names import TAG, model_name


class Step(TypedDict):
    """One model of a chain, and the run that made it."""

    version: int
    digest: str
    run: str
    round: int
    attempt: int
    decision: str
    models_in: dict[str, str]
    datasets: list[dict[str, str]]


def walk(tracking_uri: str, campaign: str, role: str = "policy", alias: str = "champion") -> list[Step]:
    """From a role's champion back to its starting model, each with what its round read; newest first.

    Follows MLflow's own links (version → run → input models and datasets). Raises UserError if there is no such version,
    TrackingFailed if MLflow cannot be reached.
    """
    with explained(tracking_uri):
        client, name = connect(tracking_uri), model_name(campaign, role)
        known = list(client.search_registered_models(f"name = '{name}'"))
        if not known or alias not in known[0].aliases:
            raise UserError(f"MLflow has no {alias} of '{name}'; `roundhouse publish` sends what still waits")
        found = [client.get_model_version_by_alias(name, alias)]
        chain: list[Step] = []
        while found:
            chain.append(_step(client, found[0]))
            before = chain[-1]["models_in"].get(role)
            seen = {step["digest"] for step in chain}
            found = versions(client, name, before) if before and before not in seen else []
        return chain


def _step(client: Any, version: Any) -> Step:
    run: Any = client.get_run(version.run_id)
    tags, prefix = run.data.tags, f"{TAG}model_in."
    linked = {client.get_logged_model(i.model_id).tags[f"{TAG}digest"] for i in run.inputs.model_inputs}
    roles = {name.removeprefix(prefix): d for name, d in tags.items() if name.startswith(prefix) and d in linked}
    return Step(
        version=int(version.version),
        digest=client.get_logged_model(version.source.removeprefix("models:/")).tags[f"{TAG}digest"],
        run=version.run_id,
        round=int(tags.get(f"{TAG}round", 0)),
        attempt=int(tags.get(f"{TAG}attempt", 0)),
        decision=tags.get(f"{TAG}decision", ""),
        models_in=roles,
        datasets=[_dataset(entry) for entry in run.inputs.dataset_inputs],
    )


def _dataset(entry: Any) -> dict[str, str]:
    """A dataset input of a run, as words."""
    tags = {tag.key.removeprefix(TAG): tag.value for tag in entry.tags}
    return {
        "name": entry.dataset.name,
        "context": tags["mlflow.data.context"],
        "digest": tags["digest"],
        "uri": json.loads(entry.dataset.source)["uri"],
        "rows": tags["rows"],
        "schema": tags["schema"],
    }
