"""What each event of the outbox becomes in MLflow.

    experiment roundhouse/CAMPAIGN         its description lists and links every round
    └── run CAMPAIGN                       recipe, settings, each split's curves over the rounds; the same page
        └── run `round 2`                  datasets in (pointer and digest), models in, models out, gate, its page
            └── run `evaluate validation`  the figures of one model on one split, what they were measured on, its page
    registered model CAMPAIGN.ROLE         a version per distinct digest, each with its page; aliases `candidate` (what the
                                           last decided round made) and `champion` (the gate's)

Figures of a model stand in a run of their own: logged by the round that made the model, they would make it look as if the
round had consumed what it produced.
"""

from __future__ import annotations

from pathlib import Path

from lib import lineage_page as pages
from lib.descriptions import describe_campaign, describe_run, describe_version
from lib.events import CampaignEvent, EvaluateEvent, Event, FinalEvent, ForgetEvent, ModelRef, ReportEvent, RoundEvent, round_title
from lib.lineage_page import Link, ModelPlace, Surroundings
from lib.tracked import roles, rounds
from lib.tracking import Experiment, Logged, Version
from lib.tracking_names import TAG, metric_name


def tell(experiment: Experiment, event: Event, event_id: str, prefect_pages: str, home: Path) -> None:
    """Write one event, all of it or what is missing of it; said twice, it changes nothing."""
    parent = experiment.run(event.campaign, None, {"kind": "campaign", "campaign": event.campaign}, {})
    match event:
        case CampaignEvent():
            _begin(experiment, parent, event)
        case RoundEvent():
            _decide(experiment, parent, event, event_id, prefect_pages)
        case EvaluateEvent():
            _measure(experiment, parent, event, event_id, prefect_pages)
        case FinalEvent():
            experiment.write(parent, {}, {"rounds": str(event.rounds), "stopped": event.reason})
            experiment.finish(parent)
        case ForgetEvent():
            for ref in event.models:
                experiment.mark(ref, {f"forgot.{event.what}.{event.id}": "learned from it before it was forgotten"})
        case ReportEvent():
            _attach(experiment, parent, home / event.uri)


def _attach(experiment: Experiment, run: Logged, page: Path) -> None:
    """The page as it is now: a newer one than the event's is the better, and one that is gone is passed over."""
    if page.is_file():
        experiment.attach(run, page.name, page.read_text(encoding="utf-8"))


def _begin(experiment: Experiment, run: Logged, event: CampaignEvent) -> None:
    facts = {"recipe": event.recipe, "recipe_digest": event.recipe_digest, "flow_run": event.flow_run}
    experiment.write(run, {"recipe": event.recipe, "seed": str(event.seed), **event.settings}, facts)
    campaign = Link(event.campaign, pages.to_run(experiment.id, run.id))
    for ref in event.models:
        version = experiment.version(ref, run, {**facts, "round": "0"})
        describe_version(experiment, version, pages.start_page(event, ref, campaign))
        if "champion" not in experiment.aliases(ref.role):
            experiment.point("champion", ref.role, version.number)
    _list_rounds(experiment, run, event.recipe)


def _decide(experiment: Experiment, parent: Logged, event: RoundEvent, event_id: str, prefect_pages: str) -> None:
    place = _place(event)
    title = round_title(event.round, event.attempt, event.revision)
    run = experiment.run(title, parent, {"kind": "round", "event": event_id}, place)
    if run.is_finished:  # a replay after a lost marker: an old round must not take the aliases back
        return
    facts = {"recipe": parent.tags.get(f"{TAG}recipe", ""), "flow_run": event.flow_run, "decision": event.decision}
    facts |= {"reason": event.reason, "supersedes": event.supersedes or ""}
    roles = {f"model_in.{ref.role}": ref.digest for ref in event.models_in}
    roles |= {f"model_out.{ref.role}": ref.digest for ref in event.models_out}
    roles |= {f"decision.{role}": sentence for role, sentence in event.otherwise.items()}
    experiment.write(run, event.params, {**facts, **roles})
    experiment.measure(run, {metric_name(name): value for name, value in event.metrics.items()}, event.round)
    experiment.link_inputs(run, event.datasets, event.models_in)
    made = {ref.role: experiment.version(ref, run, {**facts, **place}) for ref in event.models_out}
    experiment.link_outputs(run, event.models_out, event.round)
    started = {ref.role: experiment.version(ref, run, facts) for ref in event.models_in}
    earlier = _set_aside(experiment, run, event, event_id)
    _describe(experiment, parent, run, event, started, made, earlier, prefect_pages)
    if not event.later_stand:
        _point(experiment, event, started, made)
    _list_rounds(experiment, parent, facts["recipe"])
    experiment.finish(run)


def _point(experiment: Experiment, event: RoundEvent, started: dict[str, Version], made: dict[str, Version]) -> None:
    """The candidate is what this round made; the champion too where the gate took it, else what the round began with."""
    for role, version in made.items():
        experiment.point("candidate", role, version.number)
    taken = {role: version for role, version in made.items() if event.promotes(role)}
    for role, version in (started | taken).items():
        experiment.point("champion", role, version.number)


def _set_aside(experiment: Experiment, run: Logged, event: RoundEvent, event_id: str) -> list[Logged]:
    """Note on each run that a rerun superseded by which event it was; returns the rounds before this one that stand."""
    standing = []
    for other in rounds(experiment):
        tags = other.tags
        stood_on_it = not event.later_stand and int(tags[f"{TAG}round"]) > event.round
        if other.id == run.id or f"{TAG}superseded_by" in tags:
            continue
        if event.supersedes and (tags[f"{TAG}event"] == event.supersedes or stood_on_it):
            experiment.write(other, {}, {"superseded_by": event_id})
        elif (int(tags[f"{TAG}round"]), int(tags[f"{TAG}attempt"])) < (event.round, event.attempt):
            standing.append(other)
    return standing


def _describe(
    experiment: Experiment,
    parent: Logged,
    run: Logged,
    event: RoundEvent,
    started: dict[str, Version],
    made: dict[str, Version],
    earlier: list[Logged],
    prefect_pages: str,
) -> None:
    """The round's page and those of the versions that it made."""
    models = [_model_place(experiment, "in", ref, started[ref.role]) for ref in event.models_in]
    models += [_model_place(experiment, "out", ref, made[ref.role]) for ref in event.models_out]
    old = experiment.newest({"event": event.supersedes}) if event.supersedes else None
    near = _near(experiment, parent, event, tuple(models), earlier[-1] if earlier else None, old, prefect_pages)
    describe_run(experiment, run, pages.round_page(event, near))
    link = _link(experiment, run)
    for ref in event.models_out:
        describe_version(experiment, made[ref.role], pages.version_page(event, ref, link, near))


def _measure(experiment: Experiment, parent: Logged, event: EvaluateEvent, event_id: str, prefect_pages: str) -> None:
    place = _place(event)
    above = experiment.newest({"kind": "round", **place}) or parent
    run = experiment.run(f"evaluate {event.split}", above, {"kind": "evaluate", "event": event_id}, {**place, "split": event.split})
    if run.is_finished:
        return
    facts = {"recipe": parent.tags.get(f"{TAG}recipe", ""), "flow_run": event.flow_run}
    experiment.write(run, {}, {**facts, "digest": event.model.digest, "role": event.model.role})
    experiment.link_inputs(run, event.datasets, (event.model,))
    experiment.measure(run, figures(event), event.round)
    curves = {metric_name(event.split, m.name): m.value for m in event.measures if m.slice == "all"}
    experiment.measure(parent, curves, event.round)
    model = _model_place(experiment, "in", event.model, experiment.version(event.model, above, facts))
    near = _near(experiment, parent, event, (model,), above, None, prefect_pages)
    describe_run(experiment, run, pages.evaluation_page(event, near))
    experiment.finish(run)


def _near(
    experiment: Experiment,
    parent: Logged,
    event: RoundEvent | EvaluateEvent,
    models: tuple[ModelPlace, ...],
    before: Logged | None,
    old: Logged | None,
    prefect_pages: str,
) -> Surroundings:
    return Surroundings(
        campaign=Link(event.campaign, pages.to_run(experiment.id, parent.id)),
        experiment=Link("all runs", pages.to_experiment(experiment.id)),
        before=_link(experiment, before) if before else Link(""),
        supersedes=_link(experiment, old) if old else Link(""),
        flow_run=Link(event.flow_run, pages.to_flow_run(prefect_pages, event.flow_run)),
        models=models,
    )


def _model_place(experiment: Experiment, way: str, ref: ModelRef, version: Version) -> ModelPlace:
    made_by = experiment.logged(version.run)
    shown = Link(f"{version.name} version {version.number}", pages.to_version(version.name, version.number))
    return ModelPlace(way, ref, shown, _link(experiment, made_by))


def _link(experiment: Experiment, run: Logged) -> Link:
    return Link(run.title, pages.to_run(experiment.id, run.id))


def _list_rounds(experiment: Experiment, run: Logged, recipe: str) -> None:
    """Write the campaign's page anew: the round that was decided last is a link on it now."""
    lines = []
    for found in reversed(rounds(experiment)):
        decision, reason = (found.tags.get(f"{TAG}{name}", "") for name in ("decision", "reason"))
        lines.append(pages.RoundLine(_link(experiment, found), decision, reason, f"{TAG}superseded_by" in found.tags))
    registered = roles(experiment)
    models = [Link(name, pages.to_model(name)) for name in registered.values()]
    campaign = Link(experiment.campaign, pages.to_run(experiment.id, run.id))
    runs = Link("all runs", pages.to_experiment(experiment.id))
    describe_campaign(experiment, run, pages.campaign_page(campaign, recipe, runs, models, lines), registered)


def _place(event: RoundEvent | EvaluateEvent) -> dict[str, str]:
    return {"campaign": event.campaign, "round": str(event.round), "attempt": str(event.attempt), "revision": str(event.revision)}


def figures(event: EvaluateEvent) -> dict[str, float]:
    """`split/metric` or `split/metric/slice`, with `/n` and `/stderr` beside each."""
    found: dict[str, float] = {}
    for m in event.measures:
        name = metric_name(event.split, m.name, *(() if m.slice == "all" else (m.slice,)))
        found |= {name: m.value, f"{name}/n": float(m.n)}
        found |= {} if m.stderr is None else {f"{name}/stderr": m.stderr}
    return found
