"""What `compare` and `demo` do: begin a comparison or go on with it, and say what it found."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows import asking, terminal
from flows.asking import Asked
from flows.running import running
from flows.watching import watching
from flows.wording import spoken
from lib import home as homes
from lib.campaign import CampaignFolder
from lib.common_start import common_start
from lib.comparison import METRICS
from lib.comparison_settings import Comparison, ComparisonFolder, Member
from lib.course import course
from lib.errors import RoundhouseError, UnknownName, UserError
from lib.home import Home
from lib.hub import HUB
from lib.problems.named import whole
from lib.report import page
from lib.report.comparing import at_round
from lib.side_by_side import found
from lib.strategy import Strategy

SENTENCES = 40
"""So many pairs are told on a terminal; the page has all."""


def asked(
    name: str,
    recipes: str | None,
    rounds: int | None,
    seeds: tuple[int | None, int | None],
    budget_tokens: int | None,
    settings: list[str] | None,
    options: Mapping[str, Any],
) -> Comparison:
    """The comparison that is meant: the one of this name with what was given now, or a new one. `seeds`: the first and how many.

    Raises UserError for what could not begin it, or is not what it was begun with.
    """
    folder = ComparisonFolder(homes.to_read(), name)
    before = folder.load() if folder.exists or recipes is None else None
    given: dict[str, Any] = {"rounds": rounds, "budget_tokens": budget_tokens}
    given["recipes"] = _named(recipes) if recipes is not None else None
    if seeds != (None, None):
        first = seeds[0] if seeds[0] is not None else before.seeds[0] if before else 0
        given["seeds"] = tuple(range(first, first + (seeds[1] or (len(before.seeds) if before else 3))))
    given = {field: value for field, value in given.items() if value is not None}
    if settings:
        given["settings"], given["own"] = _split(settings)
    given["options"] = {option: _whole(option, value) for option, value in options.items() if value is not None}
    comparison = before.grown(given) if before else Comparison(**{"name": name, "seeds": (0, 1, 2), **given})
    for short in comparison.own:
        if short not in comparison.shorts:
            raise UnknownName("recipe", short, comparison.shorts, f"in this comparison, for --set {short}:…")
    return comparison


def _named(recipes: str) -> tuple[str, ...]:
    names = [name.strip() for name in recipes.split(",")]
    if not all(names):
        raise UserError(f"--recipes {recipes!r} leaves a name empty; give them as a,b,c (they are listed by: roundhouse recipes)")
    return tuple(map(_absolute, names))


def _absolute(recipe: str) -> str:
    return str(Path(recipe).expanduser().resolve()) if recipe.endswith(".py") else recipe


def _whole(option: str, value: Any) -> Any:
    """An option that names a file, so that it means the same from every folder."""
    if option == "model" and not value.startswith(HUB):
        return str(Path(value).expanduser().resolve())
    return whole(value) if option == "problems" else value


def _split(settings: list[str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Settings of all recipes, and of one each: `RECIPE:path=value`."""
    of_all, own = {}, {}
    for path, value in asking.pairs(settings).items():
        short, colon, rest = path.partition(":")
        if colon:
            own.setdefault(short, {})[rest] = value
        else:
            of_all[path] = value
    return of_all, own


def campaign_asked(comparison: Comparison, member: Member) -> Asked:
    """What `improve` is asked for one campaign."""
    changes = [f"{path}={value}" for path, value in comparison.changes(member.recipe).items()]
    options: dict[str, Any] = {option.replace("-", "_"): value for option, value in comparison.options.items()}
    recipe = comparison.shorts[member.recipe]
    return Asked(member.campaign, recipe, changes, rounds=comparison.rounds, seed=member.seed, **options)


def checked(comparison: Comparison, home: Home) -> dict[str, Asked]:
    """Campaign → what it is asked. Raises UserError, naming the recipe, where one cannot begin, or began otherwise."""
    each = {member: campaign_asked(comparison, member) for member in comparison.members()}
    for member, one in each.items():
        if member.seed == comparison.seeds[0] or CampaignFolder(home, member.campaign).exists:
            try:
                one.checked(home)
            except UserError as error:
                alone = "; --set RECIPE:PATH=VALUE sets it for one recipe alone" if comparison.settings else ""
                raise UserError(f"recipe '{member.recipe}': {error}{alone}") from None
    _refuse_other_starts(comparison, {member.recipe: one for member, one in each.items()})
    return {member.campaign: one for member, one in each.items()}


def _refuse_other_starts(comparison: Comparison, each: Mapping[str, Asked]) -> None:
    """Raise UserError unless all recipes (short name → what is asked) begin with one model and one problem set."""
    made = {short: one.opening().preview() for short, one in each.items()}
    wanted = {short: (recipe.warm_start, _in_words(source)) for short, (recipe, source) in made.items()}
    asked_for = comparison.options.get("warm-start")
    common_start(wanted, None if asked_for is None else str(asked_for), has_model="model" in comparison.options)


def _in_words(source: Strategy) -> str:
    """A problem set by what it has other than its class's defaults."""
    own = {name: value for name, value in source.model_dump(mode="json", exclude_defaults=True).items() if name != "strategy"}
    return f"{type(source).__name__}({', '.join(f'{name}={value}' for name, value in own.items())})"


def compare(comparison: Comparison, jobs: int | None, as_json: bool, anew: str = "--name OTHERNAME") -> None:
    """Run every campaign as far as it has to go, then leave and print what they say together; `anew` is what begins another one.

    Raises RoundhouseError once all is told if a campaign failed.
    """
    home = homes.current()
    folder = ComparisonFolder(home, comparison.name)
    each = checked(comparison, home)
    with folder.hold():
        _tell_beginning(folder, each, anew)
        folder.keep(comparison)
        limit = [] if comparison.budget_tokens is None else ["--budget-loop-tokens", str(comparison.budget_tokens)]
        campaigns = {name: [*one.words(), *limit] for name, one in each.items()}
        with running(home, at_work=False), watching(home, list(campaigns), quiet=as_json):
            from flows.compare import compare as flow

            failed = flow(comparison.name, campaigns, jobs or os.cpu_count() or 1)
        facts = leave(folder, comparison, failed)
    if as_json:
        terminal.print_json({**facts, "page": str(folder.page)})
    else:
        show(facts, folder)
    if facts["failed"]:
        raise RoundhouseError(
            f"{len(facts['failed'])} of {len(campaigns)} campaigns failed and are left out: "
            f"{', '.join(row['campaign'] for row in facts['failed'])}; the same command tries them again"
        )


def _tell_beginning(folder: ComparisonFolder, each: Mapping[str, Asked], anew: str) -> None:
    if folder.exists:
        line = f"comparison '{folder.name}' was begun before, and goes on; {anew} begins another"
        terminal.errors.print(line, markup=False, soft_wrap=True)
    for line in {line: None for one in each.values() for line in one.left_out(folder.home)}:
        terminal.errors.print(f"roundhouse: {line}", markup=False, soft_wrap=True)


def leave(folder: ComparisonFolder, comparison: Comparison, failed: Mapping[str, str]) -> dict[str, Any]:
    """Write the page and the figures of what there is; the figures. Raises RoundhouseError where no campaign has any."""
    courses = {member.campaign: course(folder.home, member) for member in comparison.members()}
    lacking = {name: "it has no closing figures" for name, one in courses.items() if one is None or not one.test}
    failed = {**lacking, **failed}
    there = [one for name, one in courses.items() if one is not None and name not in failed]
    if not there:
        raise RoundhouseError(f"every campaign failed; the first, {next(iter(failed))}: {next(iter(failed.values()))}")
    facts = found(comparison, there, failed)
    folder.keep_figures(facts)
    page.write_comparison(facts, folder.page)
    return facts


def show(facts: Mapping[str, Any], folder: ComparisonFolder) -> None:
    """The closing figures, and a sentence for each pair in the first metric."""
    metrics = [metric for metric in METRICS if any(row["metric"] == metric for row in facts["test"])]
    shown: dict[str, dict[str, Any]] = {}
    for row in facts["test"]:
        cells = shown.setdefault(
            row["recipe"],
            {"recipe": row["recipe"], "round": at_round(row), "seeds": row["seeds"], **{spoken(metric): "" for metric in metrics}},
        )
        cells[spoken(row["metric"])] = terminal.figure(row)
    terminal.show(list(shown.values()), f"{facts['name']}: test split, read once; means over seeds (± one standard error)", as_json=False)
    sentences = _sentences(facts["differences"], metrics)
    for line in ["", *facts["notes"], "", *sentences, "", f"The page is {folder.page}"]:
        terminal.console.print(line, markup=False, soft_wrap=True)


def _sentences(differences: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> list[str]:
    told = [row["sentence"] for row in differences if row["metric"] == metrics[0]] if metrics else []
    left = len(differences) - len(told[:SENTENCES])
    return told[:SENTENCES] + ([f"{left} more on the page and with --json"] if left else [])


def demo(seed: int, as_json: bool) -> None:
    """The first thing a newcomer runs: expert iteration beside its control."""
    comparison = Comparison(name=f"demo{seed or ''}", recipes=("expert_iteration", "warm_only"), seeds=(seed,))
    anew = f"--seed {seed + 1}"
    if as_json:
        compare(comparison, 2, as_json, anew)
        return
    terminal.console.print(
        "A language model of 162 thousand parameters learns Countdown: reach a target from three numbers.\n"
        "It is warm-started once, then improves over three rounds on what it sampled itself and a verifier accepted.\n"
        "Beside it, a control takes the same training steps on the warm-start data alone.\n",
        markup=False,
    )
    compare(comparison, 2, as_json, anew)
    home, first = homes.current(), comparison.members()[0].campaign
    terminal.console.print(
        f"\nThe campaign on one page:    {home.campaigns / first / 'report.html'}\n"
        f"Where the model came from:   {_typed('roundhouse')} lineage model {first}\n"
        f"What was kept and dropped:   {_typed('roundhouse')} query funnel\n"
        f"Every round in MLflow:       {_typed('mlflow')} ui --backend-store-uri {home.mlflow_uri}\n",
        markup=False,
        soft_wrap=True,
    )


def _typed(command: str) -> str:
    """A command as it is typed here: by its path where the environment that holds it is not active."""
    beside = Path(sys.executable).with_name(command)
    return command if shutil.which(command) or not beside.exists() else os.path.relpath(beside)
