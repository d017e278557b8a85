"""bench/recipes.md from bench/recipes.json alone: a table of the recipes, and each published claim with what was measured of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.recipes_claims import BASE, CLAIMS, LAST, Claim, Question, Term, Trend
from bench.recipes_figures import values
from lib.paired import Estimate, estimate
from lib.report.words import amount, count, signed, spoken

Json = dict[str, Any]

SHOWN = ("pass_at_1", "pass_at_8", "distinct_correct", "greedy_accuracy")
HEAD = """# Recipes and their claims: `python bench/recipes.py`

Means over seeds ± their standard error over seeds and problems (`lib/paired.py`), on the validation split, which nothing is chosen by;
of each campaign the model that stood after the round. Tokens are those that rounds sampled to learn from and trained on, evaluation
apart. A claim is a sum of such figures, paired by seed and problem where there are values by problem. Every interval is one of 95 %, and
none is corrected for the number of questions: of twenty without any effect, one would be decided by chance. Each recipe has the settings
of its file, so that a verdict is about these recipes at this scale. This page is made of `bench/recipes.json` alone.
"""


def page(rows: Sequence[Json]) -> str:
    """The whole page."""
    parts = [
        HEAD,
        "\n".join(begun(rows)),
        "\n".join(table(rows)),
        *("\n".join(section(number, claim, rows)) for number, claim in enumerate(CLAIMS, 1)),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def begun(rows: Sequence[Json]) -> list[str]:
    """How the campaigns were begun, a line for each way and for each recipe with settings of its own."""
    ways = Counter(_way(row["settings"]) for row in rows)
    own = {row["recipe"]: row["settings"]["own"] for row in rows if row["settings"]["own"]}
    lines = [f"{count(number, 'campaign')} of {way}." for way, number in ways.most_common()]
    return lines + [f"{recipe} with {', '.join(f'`{path}={value}`' for path, value in own[recipe].items())}." for recipe in sorted(own)]


def _way(settings: Json) -> str:
    return f"{settings['rounds']} rounds with `{' '.join(settings['options'])}`, trainings of {settings['most_steps']} steps at most"


def of(rows: Sequence[Json], recipe: str) -> list[Json]:
    return [row for row in rows if row["recipe"] == recipe]


def last(rows: Sequence[Json]) -> int:
    """The last round that all of these campaigns reached."""
    return min(row["rounds"][-1]["round"] for row in rows)


def at(row: Json, number: int) -> Json:
    return next(found for found in row["rounds"] if found["round"] == number)


def table(rows: Sequence[Json]) -> list[str]:
    """A line a recipe, in its last round."""
    head = ["recipe", "seeds", "rounds", *(spoken(metric) for metric in SHOWN), "gain in pass@1", "tokens sampled", "tokens trained"]
    lines = ["## Recipes", "", _line(head), _line(["---"] * len(head))]
    for recipe in sorted({row["recipe"] for row in rows}):
        own = of(rows, recipe)
        number = last(own)
        ends = [at(row, number) for row in own]
        cells = [_mean([(row, end) for row, end in zip(own, ends, strict=True)], metric) for metric in SHOWN]
        gain = _told(measured(Question("", (Term(1, recipe, "pass_at_1"), Term(-1, recipe, "pass_at_1", BASE))), rows))
        tokens = [amount(round(sum(end[kind] for end in ends) / len(ends))) for kind in ("sampled", "trained")]
        lines.append(_line([recipe, str(len(own)), str(number), *cells, gain, *tokens]))
    return lines


def _mean(ends: Sequence[tuple[Json, Json]], metric: str) -> str:
    """A metric as mean ± standard error, from the problems where they are kept, else as a mean over seeds."""
    found = estimate({row["seed"]: values(end, metric) for row, end in ends})
    told = [end["metrics"][metric][0] for _, end in ends if metric in end["metrics"]]
    if found is not None:
        return f"{found.value:.3f}" + ("" if found.stderr is None else f" ± {found.stderr:.3f}")
    return f"{sum(told) / len(told):.3f}" if told else ""


def section(number: int, claim: Claim, rows: Sequence[Json]) -> list[str]:
    """A claim, its questions with figures, and a verdict."""
    lines = [f"## {number}. {claim.title}", "", f"{claim.source}.", ""]
    verdicts = []
    for question in claim.questions:
        found = measured(question, rows)
        verdicts.append(verdict(question, found))
        lines.append(f"- {question.words}: {verdicts[-1]}{_basis(question, found, rows)}.")
    return [*lines, "", f"**{_whole(verdicts)}**"]


def _whole(verdicts: Sequence[str]) -> str:
    if all(one == "holds" for one in verdicts):
        return "It holds here."
    refuted = [one for one in verdicts if one == "does not hold"]
    if refuted:
        return "It does not hold here." if len(refuted) == len(verdicts) else "It does not hold here in all that it says."
    return "It is unresolved here."


def verdict(question: Question, found: Estimate | None) -> str:
    """holds, does not hold, or unresolved."""
    if found is None or found.low is None or found.high is None or found.low <= question.above <= found.high:
        return "unresolved"
    return "holds" if found.low > question.above else "does not hold"


def _basis(question: Question, found: Estimate | None, rows: Sequence[Json]) -> str:
    if found is None:
        lacking = [term.recipe for term in question.terms if not of(rows, term.recipe)]
        return f", for {' and '.join(dict.fromkeys(lacking))} was not run" if lacking else ", for what it asks was not measured"
    over = [count(found.seeds, "seed"), *([count(found.problems, "problem")] if found.problems > 1 else [])]
    varied = "" if found.seeds > 1 or found.problems == 1 else "; seeds were not varied"
    limit = f" against {signed(question.above, 2)}" if question.above else ""
    return f", {_told(found)}{limit} ({', '.join(over)}{varied})"


def _told(found: Estimate | None) -> str:
    if found is None:
        return ""
    ends = "" if found.low is None or found.high is None else f" ({signed(found.low)} to {signed(found.high)})"
    return signed(found.value) + ends


def measured(question: Question, rows: Sequence[Json]) -> Estimate | None:
    """The sum of a question's terms over the seeds that all of its recipes have; None where one is not there to be read."""
    by_recipe = {term.recipe: {row["seed"]: row for row in of(rows, term.recipe)} for term in question.terms}
    seeds = set.intersection(*(set(found) for found in by_recipe.values()))
    used = [row for found in by_recipe.values() for seed, row in found.items() if seed in seeds]
    if not used or len({row["problems"] for row in used}) > 1:
        return None
    number = last(used)
    summed = {seed: _summed(question, {recipe: found[seed] for recipe, found in by_recipe.items()}, number) for seed in sorted(seeds)}
    return estimate({seed: found for seed, found in summed.items() if found})


def _summed(question: Question, rows: dict[str, Json], number: int) -> dict[str, float]:
    """Problem → the sum of the terms, for one seed; a trend has one value, under no problem's name."""
    parts = [(term.weight, _part(term, rows[term.recipe], number)) for term in question.terms]
    shared = set.intersection(*(set(part) for _, part in parts))
    return {place: sum(weight * part[place] for weight, part in parts) for place in shared}


def _part(term: Term | Trend, row: Json, number: int) -> dict[str, float]:
    if isinstance(term, Term):
        return values(at(row, number if term.round == LAST else term.round), term.metric)
    told = [found["figures"][term.stage].get(term.figure) for found in row["rounds"] if term.stage in found["figures"]]
    course = [value for value in told if value is not None]
    return {"": (course[-1] - course[0]) / abs(course[0])} if len(course) > 1 and course[0] else {}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
