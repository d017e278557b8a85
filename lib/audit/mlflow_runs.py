"""One run in MLflow against the event that it was made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lib.audit.mlflow_told import Run
from lib.audit.report import Report, short
from lib.events import EvaluateEvent, RoundEvent
from lib.telling import figures
from lib.tracking import DIGEST_CHARACTERS
from lib.tracking_names import metric_name

Row = dict[str, Any]

RESTORE = "set it right in MLflow, or restore its database from a copy"

LARGEST = 1e308
"""MLflow keeps an infinite figure as the largest that its database can hold."""


def compare_round(run: Run, event: RoundEvent, facts: Mapping[str, set[str]], rewritten: set[str], report: Report) -> None:
    """Tags, parameters, figures, datasets and models of a round's run; `facts` are tags that may be any of some values.

    MLflow tells of artifacts that were rewritten since what they were; these are passed over.
    """
    tags = {"campaign": event.campaign, "round": str(event.round), "attempt": str(event.attempt), "recipe": event.params["recipe"]}
    tags |= {"decision": event.decision, "reason": event.reason}
    tags |= {f"model_in.{ref.role}": ref.digest for ref in event.models_in}
    tags |= {f"model_out.{ref.role}": ref.digest for ref in event.models_out}
    compare_tags(run, {**{name: {value} for name, value in tags.items()}, **facts}, report)
    compare_params(run, dict(event.params), report)
    _compare_metrics(run, {metric_name(name): value for name, value in event.metrics.items()}, report)
    _compare_datasets(run, event, rewritten, report)
    for way, linked, refs in (("began with", run.models_in, event.models_in), ("made", run.models_out, event.models_out)):
        if linked != (wanted := frozenset(ref.digest for ref in refs)):
            _add(run, report, f"links to what the round {way}, {_listed(wanted)}", _listed(linked))
    if not run.is_finished:
        _add(run, report, "a run that is finished", "one that is not")


def compare_evaluation(run: Run, event: EvaluateEvent, report: Report) -> None:
    """Tags, figures and model of an evaluation's run."""
    tags = {"campaign": event.campaign, "round": str(event.round), "attempt": str(event.attempt), "split": event.split}
    tags |= {"digest": event.model.digest, "role": event.model.role}
    compare_tags(run, {name: {value} for name, value in tags.items()}, report)
    _compare_metrics(run, figures(event), report)
    if run.models_in != {event.model.digest}:
        _add(run, report, f"a link to the model that it measured, {short(event.model.digest)}", _listed(run.models_in))


def compare_tags(run: Run, wanted: Mapping[str, set[str]], report: Report) -> None:
    """Each tag has one of the values wanted; an empty one is not there."""
    for name, values in wanted.items():
        if (found := run.tags.get(name, "")) not in values:
            _add(run, report, f"tag {name} to be {' or '.join(repr(value) for value in sorted(values))}", repr(found))


def compare_params(run: Run, wanted: Mapping[str, str], report: Report) -> None:
    """Each parameter, or the tag that tells of its change, has the value wanted."""
    for name, value in wanted.items():
        param = metric_name(name)
        if value not in (run.params.get(param), run.tags.get(f"changed.{param}")):
            _add(run, report, f"parameter {param} to be {value!r}", repr(run.params.get(param, "")))


def curves(event: EvaluateEvent) -> dict[str, float]:
    """The points that an evaluation adds to its campaign's curves."""
    return {metric_name(event.split, m.name): m.value for m in event.measures if m.slice == "all"}


def same(one: float, other: float) -> bool:
    """Whether two figures are one, nan and infinity among them."""
    if math.isnan(other):
        return math.isnan(one)
    return one == other or (math.isinf(other) and abs(one) >= LARGEST and (one > 0) == (other > 0))


def _compare_metrics(run: Run, wanted: Mapping[str, float], report: Report) -> None:
    for name, value in sorted(wanted.items()):
        found = run.metrics.get(name)
        if found is None or not same(found, value):
            _add(run, report, f"metric {name} to be {value}", "nothing" if found is None else found)
    for name in sorted(run.metrics.keys() - wanted.keys()):
        _add(run, report, f"no metric {name}", run.metrics[name])


def _compare_datasets(run: Run, event: RoundEvent, rewritten: set[str], report: Report) -> None:
    wanted = {(ref.name, ref.digest[:DIGEST_CHARACTERS]): ref for ref in event.datasets if _artifact(ref.uri) not in rewritten}
    for (name, digest), ref in sorted(wanted.items()):
        found = run.datasets.get((name, digest))
        if found is None:
            _add(run, report, f"dataset {name} {short(digest)}", "none")
            continue
        for fact, value in (("digest", ref.digest), ("rows", str(ref.rows)), ("schema", ref.schema), ("uri", ref.uri)):
            if found[fact] != value:
                _add(run, report, f"{fact} {value} of dataset {name} {short(digest)}", found[fact] or "none")
    for name, digest in sorted(run.datasets.keys() - wanted.keys()):
        if _artifact(run.datasets[name, digest]["uri"]) in rewritten:
            continue
        _add(run, report, f"no dataset {name} {short(digest)}", "it")


def _artifact(uri: str) -> str:
    """The digest in `store/artifacts/ab/DIGEST/…`."""
    return [*uri.split("/"), "", "", "", ""][3]


def _listed(digests: frozenset[str]) -> str:
    return ", ".join(sorted(map(short, digests))) or "none"


def _add(run: Run, report: Report, expected: str, found: object) -> None:
    report.add("mlflow_story", f"MLflow run '{run.title}'", expected, found, RESTORE)
