"""What a home tells once its campaign is over, in the words that must not depend on what was killed on the way."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from lib.home import Home
from lib.ledger import Ledger
from lib.store import Store

ROWS = {
    "completions": "completion_id",
    "verdicts": "completion_id, verifier",
    "examples": "kind, example_id",
    "example_sources": "example_id, completion_id, part",
    "dropped": "unit, id, filter",
    "metric_items": "evaluator, metric, problem_id",
}
"""View → what must be unique in each artifact."""

LINEAGE = {
    "artifacts": "digest, kind, key, rows, seed, settings",
    "inputs": "*",
    "job_models": "*",
    "rounds": "*",
    "metrics": "*",
    "stages": "campaign, round, attempt, stage, verb, key, digest",
}
"""View → the columns that say the same after any number of kills: a version may be given up, and a result reused."""

OF_ONE_RUN = ("flow_run", "root_flow_run", "seconds")
"""Fields of a round's record that name the run that wrote it."""

Story = dict[str, Any]


def told(home: Home, mlflow_uri: str) -> Story:
    """Publications, rounds, rows, lineage and MLflow of a home, comparable with another's."""
    store = Store(home.store)
    campaign = next(home.campaigns.glob("*/campaign.json")).parent
    with Ledger(home) as ledger:
        rows = {view: _rows(ledger, view, ids) for view, ids in ROWS.items()}
        lineage = {view: _digest(ledger, f"SELECT DISTINCT {columns} FROM {view}") for view, columns in LINEAGE.items()}
    return {
        "publications": {key: [store.read(key, version).digest for version in store.versions(key)] for key in store.published_keys()},
        "artifacts": sorted(path.name for path in home.store.glob("artifacts/*/*")),
        "rounds": {path.parent.name: _round(path) for path in sorted(campaign.glob("*/round.json"))},
        "test": json.loads((campaign / "test.json").read_text()),
        "rows": rows,
        "lineage": lineage,
        "mlflow": _mlflow(mlflow_uri, campaign.name),
    }


def _rows(ledger: Ledger, view: str, ids: str) -> dict[str, Any]:
    counted = next(iter(ledger.rows(f"SELECT count(*) AS n, count(DISTINCT (artifact, {ids})) AS n_unique FROM {view}")))
    return {**counted, "digest": _digest(ledger, f"SELECT artifact, {ids} FROM {view}")}


def _digest(ledger: Ledger, sql: str) -> str:
    return hashlib.sha256("\n".join(sorted(map(repr, ledger.query(sql).rows))).encode()).hexdigest()[:16]


def _round(path: Path) -> dict[str, Any]:
    record = {name: value for name, value in json.loads(path.read_text()).items() if name not in OF_ONE_RUN}
    for stage in record["stages"].values():
        del stage["cost"]  # seconds by the clock
        stage["jobs"] = [[job[name] for name in ("label", "key", "digest")] for job in stage["jobs"]]
    return record


def _mlflow(uri: str, campaign: str) -> Story:
    """Runs with parameters, tags, figures and links; registered models with versions and aliases."""
    from lib.tracking import connect
    from lib.tracking_names import experiment_name

    client = connect(uri)
    experiment = client.get_experiment_by_name(experiment_name(campaign))
    assert experiment is not None, "MLflow knows nothing of the campaign"
    found = client.search_runs([experiment.experiment_id], max_results=1000)
    runs = [client.get_run(run.info.run_id) for run in found]  # a search leaves models out
    titles = {run.info.run_id: run.info.run_name for run in runs}
    models = {model.model_id: model.tags["roundhouse.digest"] for model in client.search_logged_models([experiment.experiment_id])}
    registered = {}
    for model in client.search_registered_models(f"name LIKE '{campaign}.%'"):
        versions = client.search_model_versions(f"name = '{model.name}'")
        registered[model.name] = {
            "versions": {str(v.version): _ours(v.tags) for v in versions},
            "aliases": {name: str(version) for name, version in sorted(model.aliases.items())},
        }
    return {
        "runs": sorted((_run(client, run, titles, models) for run in runs), key=lambda run: json.dumps(run, sort_keys=True)),
        "logged models": sorted(models.values()),
        "registered": registered,
    }


def _run(client: Any, run: Any, titles: dict[str, str], models: dict[str, str]) -> Story:
    history = {key: sorted((m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)) for key in run.data.metrics}
    return {
        "title": run.info.run_name,
        "status": run.info.status,
        "under": titles.get(run.data.tags.get("mlflow.parentRunId", ""), ""),
        "tags": _ours(run.data.tags),
        "params": {name: value for name, value in sorted(run.data.params.items()) if name != "rounds"},  # a worker's begins with none
        "figures": {key: [list(point) for point in points] for key, points in sorted(history.items())},
        "read": sorted([d.dataset.name, d.dataset.digest] for d in run.inputs.dataset_inputs),
        "models in": sorted(models[m.model_id] for m in run.inputs.model_inputs),
        "models out": sorted(models[m.model_id] for m in (run.outputs.model_outputs if run.outputs else [])),
        "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
    }


def _ours(tags: dict[str, str]) -> dict[str, str]:
    told = {name: value for name, value in tags.items() if name.startswith("roundhouse.") and not name.endswith(".flow_run")}
    return dict(sorted((name, value) for name, value in told.items() if name != "roundhouse.changed.rounds"))


def differences(wanted: Any, found: Any, at: str = "") -> list[str]:
    """Where two stories part, one line each."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        lines = []
        for name in sorted({*wanted, *found}):
            if name not in wanted or name not in found:
                lines.append(f"{at}/{name}: {'surplus' if name in found else 'missing'}")
            else:
                lines += differences(wanted[name], found[name], f"{at}/{name}")
        return lines
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [line for index, pair in enumerate(zip(wanted, found, strict=True)) for line in differences(*pair, f"{at}/{index}")]
    return [] if wanted == found else [f"{at}: {str(wanted)[:200]} became {str(found)[:200]}"]


def doubles(story: Story) -> list[str]:
    """Rows, publications, runs and figures that are there more than once."""
    lines = [
        f"{view}: {rows['n']} rows, {rows['n_unique']} of them unique"
        for view, rows in story["rows"].items()
        if rows["n"] != rows["n_unique"]
    ]
    lines += [f"key {key[:12]} was published {len(made)} times" for key, made in story["publications"].items() if len(made) != 1]
    titles = [(run["title"], run["under"], json.dumps(run["tags"], sort_keys=True)) for run in story["mlflow"]["runs"]]
    lines += [f"MLflow run {title[0]} is there twice" for title in {t for t in titles if titles.count(t) > 1}]
    for run in story["mlflow"]["runs"]:
        lines += [
            f"{run['title']}: {key} has a step twice" for key, points in run["figures"].items() if len({p[0] for p in points}) < len(points)
        ]
    return lines


def disorder(home: Home) -> list[str]:
    """What a finished campaign must not leave: held locks, workspaces, scratch, half-written files, events that wait."""
    lines = [f"{path} is locked" for path in home.root.rglob("*.lock") if _is_locked(path)]
    lines += [f"left behind: {path}" for path in [*home.store.glob("tmp/*"), *home.scratch.glob("*/*")]]
    lines += [f"waits in the outbox: {path.name}" for path in home.outbox.glob("pending/*.json")]
    return lines + [f"left behind: {path}" for path in home.campaigns.glob("*/holder.json")]


def asides(home: Home) -> list[str]:
    """Files that a kill cut off before they got their names; nothing reads them."""
    return [str(path.relative_to(home.root)) for path in home.root.rglob(".*") if re.fullmatch(r"\..+\.[0-9a-f]{32}", path.name)]


def _is_locked(path: Path) -> bool:
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
