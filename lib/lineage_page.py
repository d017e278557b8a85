"""The pages that an auditor reads in MLflow: a campaign's, a round's, a measurement's and a model version's, as markdown.

MLflow shows them as descriptions and rounds keep theirs whole as the artifact `lineage.md`. Links between MLflow's pages are
hash routes of its own (`#/experiments/…`), so that they hold on whatever host the pages are opened.

A page is written by nobody whose text is in it: reasons of filters, slices and sentences can carry what a model wrote. What
is not ours is either `plain`, where no character of it can begin markup, or `code`, which holds no quote and no bracket.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from lib.events import CampaignEvent, DatasetRef, EvaluateEvent, ModelRef, RoundEvent, round_title

FILE = "lineage.md"
"""The artifact that holds a page whole."""

LONGEST_WORDS = 500
"""Characters of somebody else's text that a page shows."""

_LAYOUT = "?workflowType=machine_learning"
"""MLflow's pages open as those of its agents' tools unless told otherwise."""

_ENTITIES = {character: f"&#{ord(character)};" for character in "&<>[]*_|~`\\\"'#!"}
_LOOKALIKES = str.maketrans({"`": "'", "|": "¦", "<": "‹", ">": "›"})


@dataclass(frozen=True, slots=True)
class Link:
    """Words, and where they lead; nowhere if that is not known."""

    words: str
    to: str = ""

    def __str__(self) -> str:
        return f"[{plain(self.words)}]({self.to})" if self.to else plain(self.words)


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """A model of a round, and where it stands in MLflow."""

    way: str
    """`in` or `out`."""
    ref: ModelRef
    version: Link
    made_by: Link


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a round's or a measurement's page links to."""

    campaign: Link
    experiment: Link
    before: Link
    """The round before this one, or nothing."""
    supersedes: Link
    flow_run: Link
    models: tuple[ModelPlace, ...]


def plain(text: object) -> str:
    """Text that markdown and HTML show as it is, on one line."""
    words = " ".join(str(text).split())
    words = words if len(words) <= LONGEST_WORDS else words[:LONGEST_WORDS] + "…"
    return "".join(_ENTITIES.get(c, c) for c in words).replace("://", "&#58;//").replace("www.", "www&#46;")


def code(text: object) -> str:
    """Text in a code span; what could end the span or a table's cell becomes a character that looks like it."""
    words = " ".join(str(text).split())[:LONGEST_WORDS].translate(_LOOKALIKES)
    return f"`{words}`" if words else "—"  # two quotes would begin a span of their own


def to_run(experiment: str, run: str) -> str:
    return f"#/experiments/{experiment}/runs/{run}{_LAYOUT}"


def to_experiment(experiment: str) -> str:
    return f"#/experiments/{experiment}/runs{_LAYOUT}"


def to_model(name: str) -> str:
    return f"#/models/{quote(name, safe='')}"


def to_version(name: str, number: str) -> str:
    return f"{to_model(name)}/versions/{number}"


def to_flow_run(pages: str, flow_run: str) -> str:
    """A flow run's page in Prefect, which has an address of its own."""
    return f"{pages}/runs/flow-run/{flow_run}" if pages and flow_run else ""


def round_page(event: RoundEvent, near: Surroundings) -> str:
    """A round: what it decided, from what, to what, and how to walk on."""
    title = f"# {plain(event.campaign)}: {round_title(event.round, event.attempt, event.revision)}"
    lines = [title, "", _said(event), "", *_models(near.models), "", _ways(near), "", *_funnel(event), *_tables(event.datasets)]
    return "\n".join([*lines, *_commands(event.models_out or event.models_in)]) + "\n"


def evaluation_page(event: EvaluateEvent, near: Surroundings) -> str:
    """A measurement of one model on one split."""
    number = round_title(event.round, event.attempt, event.revision)
    lines = [f"# {plain(event.campaign)}: {number} measured on {plain(event.split)}", "", _ways(near), "", *_models(near.models), ""]
    lines += ["| metric | slice | value | stderr | problems |", "|---|---|---|---|---|"]
    for m in event.measures:
        lines.append(f"| {code(m.name)} | {code(m.slice)} | {m.value:.4g} | {'' if m.stderr is None else f'{m.stderr:.2g}'} | {m.n} |")
    return "\n".join([*lines, "", *_tables(event.datasets), *_commands((event.model,))]) + "\n"


def version_page(event: RoundEvent, ref: ModelRef, run: Link, near: Surroundings) -> str:
    """A registered version: the round that made it, the model before it, and how to walk on."""
    lines = [f"Made by {run} of {near.campaign}, {_said(event)}", "", f"sha256 {code(ref.digest)}", ""]
    for model in near.models:
        if model.way == "in":
            lines += [f"From {model.version} ({plain(model.ref.role)}, sha256 {code(model.ref.digest)}), made by {model.made_by}.", ""]
    learned = {d.digest: d for d in event.datasets if d.name.startswith("examples_")}
    lines += [f"- learned from {d.rows} rows of {code(d.name)}, sha256 {code(d.digest)}" for d in learned.values()]
    return "\n".join([*lines, "", *_commands((ref,))]) + "\n"


def start_page(event: CampaignEvent, ref: ModelRef, campaign: Link) -> str:
    """The version that a campaign began with."""
    lines = [f"The {plain(ref.role)} that {campaign} began with, by recipe {code(event.recipe)}.", "", f"sha256 {code(ref.digest)}", ""]
    return "\n".join([*lines, *_commands((ref,))]) + "\n"


@dataclass(frozen=True, slots=True)
class RoundLine:
    """A round on its campaign's page."""

    run: Link
    decision: str
    reason: str
    superseded: bool


def campaign_page(campaign: Link, recipe: str, runs: Link, models: Iterable[Link], rounds: Iterable[RoundLine]) -> str:
    """A campaign: every round of it, the newest first, and its registered models. MLflow folds all but the first line."""
    lines = [f"# {plain(campaign.words)}", ""]
    lines += [f"Campaign {campaign} · recipe {code(recipe)} · {runs} · registered models: {', '.join(map(str, models))}", ""]
    for line in rounds:
        lines.append(f"- {line.run}: {_led(line.decision, line.reason)}" + (" (superseded by a rerun)" if line.superseded else ""))
    commands = _block(f"roundhouse lineage model {campaign.words}", "roundhouse query funnel", "roundhouse query drop_reasons")
    return "\n".join([*lines, "", "Walk further, offline:", "", *commands]) + "\n"


def clipped(page: str, most: int) -> str:
    """As much of a page as MLflow takes for a description, in whole lines."""
    if len(page) <= most:
        return page
    rest = f"\n… the rest is in the artifact {code(FILE)} of the run.\n"
    return page[: most - len(rest)].rpartition("\n")[0] + rest


def _ways(near: Surroundings) -> str:
    """Back, up and out, on one line; later rounds are not known yet, and the campaign's page has them."""
    ways = [f"campaign {near.campaign}, which lists every round", str(near.experiment)]
    ways += [f"after {near.before}"] if near.before.words else []
    ways += [f"a rerun of {near.supersedes}"] if near.supersedes.words else []
    ways += [f"Prefect flow run {near.flow_run}"] if near.flow_run.words else []
    return " · ".join(ways)


def _said(event: RoundEvent) -> str:
    return _led(event.decision, event.reason)


def _led(decision: str, reason: str) -> str:
    """The gate's sentence, which begins with its decision as a rule."""
    return f"**{plain(decision)}**: {plain(reason.removeprefix(decision).removeprefix(':').strip())}"


def _models(models: Iterable[ModelPlace]) -> list[str]:
    return [f"- {m.way}: {plain(m.ref.role)} {m.version}, made by {m.made_by}, sha256 {code(m.ref.digest)}" for m in models]


def _funnel(event: RoundEvent) -> list[str]:
    """Stage by stage: rows made, verdicts, reasons of what was dropped, and whatever else was counted."""
    if not event.metrics:
        return []
    stages = list(dict.fromkeys([d.context for d in event.datasets] + ["/".join(name.split("/")[:2]) for name in event.metrics]))
    lines = ["**From samples to examples**", ""]
    for stage in stages:
        figures = {name.removeprefix(f"{stage}/"): value for name, value in event.metrics.items() if name.startswith(f"{stage}/")}
        told = [f"{_figure_name(name)} {value:.6g}" for name, value in sorted(figures.items(), key=lambda figure: _order(figure[0]))]
        lines += [f"- {code(stage)}: {' · '.join(told)}"] if told else []
    return [*lines, ""]


def _order(name: str) -> tuple[bool, str]:
    """Verdicts and reasons first."""
    return not name.startswith(("outcomes/", "dropped/")), name


def _figure_name(name: str) -> str:
    kind, _, rest = name.partition("/")
    words = {"outcomes": "verdict", "dropped": "dropped as"}
    return f"{words[kind]} {code(rest)}" if kind in words and rest else code(name)


def _tables(datasets: Iterable[DatasetRef]) -> list[str]:
    lines = [f"- {code(d.context)}: {plain(d.name)}, {d.rows} rows, sha256 {code(d.digest)}" for d in datasets]
    return ["**Tables**", "", *lines, ""] if lines else []


def _commands(models: Iterable[ModelRef]) -> list[str]:
    return ["Walk further, offline:", "", *_block(*(f"roundhouse lineage model {model.digest[:12]}" for model in models))]


def _block(*commands: str) -> list[str]:
    return ["```", *(" ".join(command.split()).translate(_LOOKALIKES) for command in commands), "```"]
