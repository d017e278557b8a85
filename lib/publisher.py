"""What waits in the outbox, taken to MLflow in order and beside the work.

    experiment roundhouse/CAMPAIGN
    └── run CAMPAIGN                       recipe, settings, and each split's curves over the rounds
        └── run `round 2`                  datasets in (pointer and digest), models in, models out, gate, lineage.md
            └── run `evaluate validation`  the figures of one model on one split
    registered model CAMPAIGN.ROLE         a version per distinct digest; aliases `candidate` (newest), `champion` (the gate's)

Figures of a model stand in a run of their own: logged by the round that made the model, they would make it look as if the
round had consumed what it produced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lib import events, outbox
from lib.errors import RoundhouseError, UserError
from lib.events import CampaignEvent, EvaluateEvent, FinalEvent, RoundEvent
from lib.tracking import Experiment, Logged, explained, metric_name

_ONE_AT_A_TIME = threading.Lock()  # MLflow keeps one tracking address per process


@dataclass(frozen=True, slots=True)
class Published:
    """What one `publish` did."""

    count: int
    """Events that it took to MLflow."""
    failed: int
    """Events that still wait."""
    reason: str = ""
    """Why they wait, in one line; empty if none does."""


def publish(folder: Path, tracking_uri: str) -> Published:
    """Take what waits in an outbox to MLflow, in order. An MLflow that fails is reported, never raised.

    After a failure the rest of that campaign waits, because its order carries meaning; other campaigns go on.
    An empty outbox costs no import of MLflow.
    """
    with _ONE_AT_A_TIME, outbox.draining(folder):
        try:
            waiting = outbox.pending(folder)
        except UserError as error:  # a file that is damaged; what stands before and after it keeps its order
            return Published(0, 1, str(error))
        reasons: dict[str, str] = {}
        count = 0
        for queued in waiting:
            campaign = str(queued.event["campaign"])
            if campaign in reasons:
                continue
            try:
                _log(queued, tracking_uri)
            except RoundhouseError as error:
                reasons[campaign] = str(error)
                continue
            outbox.mark_published(folder, queued)
            count += 1
        return Published(count, len(waiting) - count, next(iter(reasons.values()), ""))


def _log(queued: outbox.Queued, tracking_uri: str) -> None:
    event = events.from_json(queued.event)
    with explained(tracking_uri):
        experiment = Experiment(tracking_uri, event.campaign, queued.at_ms)
        campaign = {"kind": "campaign", "campaign": event.campaign}
        parent = experiment.run(event.campaign, None, campaign, {})
        match event:
            case CampaignEvent():
                _begin(experiment, parent, event)
            case RoundEvent():
                _decide(experiment, parent, event, queued.id)
            case EvaluateEvent():
                _measure(experiment, parent, event, queued.id)
            case FinalEvent():
                experiment.write(parent, {}, {"rounds": str(event.rounds), "stopped": event.reason})
                experiment.finish(parent)


def _begin(experiment: Experiment, run: Logged, event: CampaignEvent) -> None:
    facts = {"recipe": event.recipe, "recipe_digest": event.recipe_digest, "flow_run": event.flow_run}
    experiment.write(run, {"recipe": event.recipe, "seed": str(event.seed), **event.settings}, facts)
    for ref in event.models:
        version = experiment.version(ref, run, {**facts, "round": "0"})
        if "champion" not in experiment.aliases(ref.role):
            experiment.promote(ref.role, version)


def _decide(experiment: Experiment, parent: Logged, event: RoundEvent, event_id: str) -> None:
    place = _place(event)
    title = f"round {event.round}" + (f" attempt {event.attempt}" if event.attempt > 1 else "")
    title += f" revision {event.revision}" if event.revision else ""
    run = experiment.run(title, parent, {"kind": "round", "event": event_id}, place)
    if run.is_finished:  # a replay after a lost marker: an old round must not take the aliases back
        return
    facts = {"recipe": parent.tags.get("roundhouse.recipe", ""), "flow_run": event.flow_run, "decision": event.decision}
    facts |= {"reason": event.reason, "supersedes": event.supersedes or ""}
    roles = {f"model_in.{ref.role}": ref.digest for ref in event.models_in}
    roles |= {f"model_out.{ref.role}": ref.digest for ref in event.models_out}
    experiment.write(run, event.params, {**facts, **roles})
    experiment.measure(run, {metric_name(name): value for name, value in event.metrics.items()}, event.round)
    experiment.link_inputs(run, event.datasets, event.models_in)
    made = {ref.role: experiment.version(ref, run, {**facts, **place}) for ref in event.models_out}
    experiment.link_outputs(run, event.models_out, event.round)
    experiment.attach(run, "lineage.md", events.lineage_markdown(event))
    champions = {ref.role: experiment.version(ref, run, facts) for ref in event.models_in}  # a rejected rerun returns to these
    for role, version in (champions | made if event.accepted else champions).items():
        experiment.promote(role, version)
    experiment.finish(run)


def _measure(experiment: Experiment, parent: Logged, event: EvaluateEvent, event_id: str) -> None:
    place = _place(event)
    above = experiment.newest({"kind": "round", **place}) or parent
    run = experiment.run(f"evaluate {event.split}", above, {"kind": "evaluate", "event": event_id}, {**place, "split": event.split})
    if run.is_finished:
        return
    experiment.write(run, {}, {"digest": event.model.digest, "role": event.model.role, "flow_run": event.flow_run})
    experiment.link_inputs(run, (), (event.model,))
    experiment.measure(run, figures(event), event.round)
    curves = {metric_name(event.split, m.name): m.value for m in event.measures if m.slice == "all"}
    experiment.measure(parent, curves, event.round)
    experiment.finish(run)


def _place(event: RoundEvent | EvaluateEvent) -> dict[str, str]:
    return {"campaign": event.campaign, "round": str(event.round), "attempt": str(event.attempt)}


def figures(event: EvaluateEvent) -> dict[str, float]:
    """`split/metric` or `split/metric/slice`, with `/n` and `/stderr` beside each."""
    found: dict[str, float] = {}
    for m in event.measures:
        name = metric_name(event.split, m.name, *(() if m.slice == "all" else (m.slice,)))
        found |= {name: m.value, f"{name}/n": float(m.n)}
        found |= {} if m.stderr is None else {f"{name}/stderr": m.stderr}
    return found


class Publisher:
    """A thread that publishes while rounds run. `kick` it after putting events; `close` it at the end.

    The thread begins with the first kick, and MLflow is imported in it: kick after the caller's own heavy imports, for
    two threads that import the same packages at once can see them half made.
    """

    def __init__(self, folder: Path, tracking_uri: str, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._tracking_uri = tracking_uri
        self._warn = warn
        """Told once, in one line, that MLflow does not take events."""
        self._wake = threading.Event()
        self._closing = False
        self._has_warned = False
        self._thread = threading.Thread(target=self._run, name="roundhouse-publisher", daemon=True)

    def kick(self) -> None:
        """Say that there may be something to publish; returns at once."""
        self._wake.set()
        if self._thread.ident is None:
            self._thread.start()

    def close(self, timeout_seconds: float) -> bool:
        """Publish what waits and stop; False if that took longer than allowed, and then the rest stays in the outbox."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing
            published = publish(self._folder, self._tracking_uri)
            if published.failed and not self._has_warned:
                self._has_warned = True
                self._warn(f"{published.reason}; {published.failed} events wait in the outbox for `roundhouse publish`")
            if closing:
                return
