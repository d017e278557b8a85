"""What a comparison found, in numbers and in plain sentences, from the courses of its campaigns alone.

With a budget, each campaign is compared at the last round that fits into its own; without one, all at the last that every
campaign reached. The model of a campaign is the one that its gate had let stand by then. Curves are of the validation split, in
every round; the closing figures are of the test split, which is read once, after the last round. Pairs are paired by seed and by
problem (lib.paired); the p values of all pairs in one metric are corrected together by Holm's method, and 0.05 of that decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lib.comparison import METRICS
from lib.comparison_settings import Comparison
from lib.course import Course
from lib.paired import Estimate, differences, estimate, holm
from lib.report.words import count, listed, signed, spoken

Json = dict[str, Any]
Values = dict[int, dict[str, float]]
"""Seed → problem → value."""
Rounds = dict[str, int]
"""Campaign → the round that it is compared at."""

BASE = "base"
"""What every recipe began with, as one more row of the table."""
LEVEL = 0.05


def found(asked: Comparison, courses: Sequence[Course], failed: Mapping[str, str]) -> Json:
    """Everything that the table, the JSON and the page show. `failed`: campaign → why it has no figures."""
    whole = [course for course in courses if course.member.campaign not in failed]
    at = rounds_compared(asked, whole)
    metrics = [metric for metric in METRICS if any(metric in _items(course, "test", at) for course in whole)]
    return {
        "name": asked.name,
        "recipes": list(asked.shorts),
        "seeds": list(asked.seeds),
        "rounds": asked.rounds,
        "budget_tokens": asked.budget_tokens,
        "campaigns": [_campaign(course, at[course.member.campaign]) for course in whole],
        "failed": [{**member._asdict(), "reason": failed[member.campaign]} for member in asked.members() if member.campaign in failed],
        "notes": notes(asked, whole, at, failed),
        "curves": {metric: _curves(asked, whole, metric) for metric in METRICS if _curves(asked, whole, metric)},
        "test": [row for metric in metrics for row in _closing(asked, whole, metric, at)],
        "differences": [row for metric in metrics for row in pairs(metric, _by_recipe(asked, whole, metric, at))],
    }


def rounds_compared(asked: Comparison, courses: Sequence[Course]) -> Rounds:
    """The last round of each campaign that fits into its budget; without a budget the last one that all reached."""
    fits = {course.member.campaign: min(asked.rounds, course.fits(asked.budget_tokens)) for course in courses}
    return fits if asked.budget_tokens is not None else dict.fromkeys(fits, min(fits.values()))


def _campaign(course: Course, number: int) -> Json:
    at = course.tokens.get(number)
    stands = course.stands("test", number)
    return {
        **course.member._asdict(),
        "round": number,
        "rounds_done": max(course.tokens),
        "model_of_round": stands.round if stands else None,
        "sampled": at.sampled if at else 0,
        "trained": at.trained if at else 0,
    }


def _items(course: Course, split: str, at: Rounds) -> dict[str, dict[str, float]]:
    stands = course.stands(split, at[course.member.campaign])
    return stands.items if stands else {}


def _values(courses: Iterable[Course], split: str, metric: str, at: Rounds) -> Values:
    """Values by seed and problem, of the campaigns that have some."""
    items = {course.member.seed: _items(course, split, at).get(metric, {}) for course in courses}
    return {seed: values for seed, values in items.items() if values}


def _of(courses: Iterable[Course], short: str) -> list[Course]:
    return [course for course in courses if course.member.recipe == short]


def _by_recipe(asked: Comparison, courses: Sequence[Course], metric: str, at: Rounds) -> dict[str, Values]:
    """Recipe → its closing values, and those of the base models, which all recipes of a seed share."""
    rows = {short: _values(_of(courses, short), "test", metric, at) for short in asked.shorts}
    rows[BASE] = _values(courses, "test", metric, dict.fromkeys(at, 0))
    return {name: values for name, values in rows.items() if values}


def _closing(asked: Comparison, courses: Sequence[Course], metric: str, at: Rounds) -> list[Json]:
    rows = _by_recipe(asked, courses, metric, at).items()
    return [
        {"recipe": short, "rounds": _rounds(_of(courses, short), at), "metric": metric, **_within(_told(mean), metric)}
        for short, values in rows
        if (mean := estimate(values)) is not None
    ]


def _rounds(courses: Iterable[Course], at: Rounds) -> list[int]:
    """The rounds that these campaigns are compared at, each once; of the base models, which are no campaign's own, round 0."""
    return sorted({at[course.member.campaign] for course in courses}) or [0]


def _curves(asked: Comparison, courses: Sequence[Course], metric: str) -> list[Json]:
    """For each recipe, every round that one of its campaigns reached: tokens as means over seeds, and the metric with its interval."""
    lines = []
    for short in asked.shorts:
        own = _of(courses, short)
        points = []
        for number in sorted({number for course in own for number in course.tokens if number <= asked.rounds}):
            there = [course for course in own if number in course.tokens]
            mean = estimate(_values(there, "validation", metric, {course.member.campaign: number for course in there}))
            if mean is not None:
                sampled, trained = (
                    sum(getattr(course.tokens[number], kind) for course in there) / len(there) for kind in ("sampled", "trained")
                )
                points.append({"round": number, "sampled": sampled, "trained": trained, **_within(_told(mean), metric)})
        if points:
            lines.append({"recipe": short, "points": points})
    return lines


def _within(told: Json, metric: str) -> Json:
    """The interval of a share, within 0 and 1."""
    if metric.startswith("nll_") or told["low"] is None:
        return told
    return {**told, "low": max(told["low"], 0.0), "high": min(told["high"], 1.0)}


def _told(mean: Estimate) -> Json:
    return {name: getattr(mean, name) for name in ("value", "stderr", "low", "high", "seeds", "problems")}


def pairs(metric: str, rows: Mapping[str, Values]) -> list[Json]:
    """Every pair in the order of the recipes, the base models last; with what can be said of it."""
    shorts = list(rows)
    both = [(new, old) for place, new in enumerate(shorts) for old in shorts[place + 1 :]]
    means = [(new, old, mean) for new, old in both if (mean := estimate(differences(rows[new], rows[old]))) is not None]
    corrected = holm([mean.p for _, _, mean in means])
    found = []
    for (new, old, mean), p in zip(means, corrected, strict=True):
        smallest = mean.smallest(len(means))
        row = {"new": new, "old": old, "metric": metric, "difference": mean.value, **_told(mean), "p": mean.p, "p_holm": p}
        row |= {"smallest": smallest, "verdict": verdict(mean, p, metric), "sentence": sentence(new, old, metric, mean, p, len(means))}
        found.append({name: value for name, value in row.items() if name != "value"})
    return found


def verdict(mean: Estimate, p: float | None, metric: str) -> str:
    """better, worse (of a loss: higher, lower), level or unresolved."""
    if mean.value == 0 and not mean.stderr:
        return "level"
    if p is None or p > LEVEL:
        return "unresolved"
    up, down = ("higher", "lower") if metric.startswith("nll_") else ("better", "worse")
    return up if mean.value > 0 else down


def sentence(new: str, old: str, metric: str, mean: Estimate, p: float | None, comparisons: int) -> str:
    """One pair in plain words; `p` is corrected for that many comparisons."""
    said, name = verdict(mean, p, metric), spoken(metric)
    basis = f"{count(mean.seeds, 'seed')}, {count(mean.problems, 'problem')}" if mean.seeds > 1 else _one_seed(mean)
    if mean.low is None or mean.high is None:
        why = "nothing varied, so there is no interval" if mean.stderr == 0 else "one value has no interval"
        gap = f"{new} and {old} are level in {name}" if said == "level" else f"{new} − {old} in {name}: unresolved: {signed(mean.value)}"
        return f"{gap} ({basis}): {why}"
    if said == "unresolved":
        smallest = mean.smallest(comparisons)
        seen = _seen(smallest, metric)
        gap = "level" if mean.value == 0 else signed(mean.value)
        by_itself = f", which alone would be p = {mean.p:.2g}, but not among {comparisons} pairs" if (mean.p or 1.0) <= LEVEL else ""
        return f"{new} − {old} in {name}: unresolved: {gap} ({signed(mean.low)} to {signed(mean.high)}; {basis}){by_itself}{seen}"
    low, high = (mean.low, mean.high) if mean.value > 0 else (-mean.high, -mean.low)
    ends = f"{_number(low)} to {_number(high)}"
    return f"{new} is {said} than {old} in {name} by {abs(mean.value):.3f} ({ends}; {basis})"


def _seen(smallest: float | None, metric: str) -> str:
    if smallest is None:
        return ""
    largest = math.inf if metric.startswith("nll_") else 1.0
    return f"; an effect of {smallest:.3f} could have been seen" if smallest < largest else "; no effect could have been seen"


def _one_seed(mean: Estimate) -> str:
    return f"{count(mean.problems, 'problem')}; seeds were not varied"


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def notes(asked: Comparison, courses: Sequence[Course], at: Rounds, failed: Mapping[str, str]) -> list[str]:
    """What has to be known beside the figures: the rounds, the budget, the beginning, and what is missing."""
    reached = {short: _rounds(_of(courses, short), at) for short in asked.shorts if _of(courses, short)}
    if asked.budget_tokens is None:
        said = [f"All campaigns are compared at round {min(at.values())}, with the model that each had accepted by then."]
    else:
        where = listed([f"{short} at round {' or '.join(map(str, rounds))}" for short, rounds in reached.items()])
        said = [
            f"The rounds of each campaign had {asked.budget_tokens:,} tokens to sample and to train on, evaluation apart; each is compared "
            f"at the last round that fits, with the model that it had accepted by then: {where}."
        ]
    if nothing := [short for short, rounds in reached.items() if rounds == [0]]:
        said.append(f"Of {listed(nothing)} not one round fits: what stands there is the base model.")
    said.append(_begin(courses))
    if len(asked.seeds) == 1:
        said.append("There is one seed, so seeds were not varied: the intervals are over problems alone.")
    if failed:
        said.append(f"Left out, because they failed: {listed([f'{name} ({why})' for name, why in failed.items()])}.")
    return said


def _begin(courses: Sequence[Course]) -> str:
    """Whether the campaigns of each seed began with one model, and all with one problem set."""
    seeds = sorted({course.member.seed for course in courses})
    by_seed = {seed: [course for course in courses if course.member.seed == seed] for seed in seeds}
    apart = [seed for seed, found in by_seed.items() if any(course.start.get("models") != found[0].start.get("models") for course in found)]
    if apart:
        seeds_apart = listed([str(seed) for seed in apart])
        return f"The campaigns of seed {seeds_apart} did not begin with the same model, so this is no fair comparison."
    if any(course.start.get("problems") != courses[0].start.get("problems") for course in courses):
        return "The campaigns do not have the same problems, so this is no fair comparison."
    return "All campaigns of a seed began with the same model, and all have the same problems."
