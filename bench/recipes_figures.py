"""One campaign's figures, small enough to be committed: what bench/recipes.py keeps, and how it is read back.

Values of problems are kept as one digit a problem where all of them are whole parts of one number: `of` parts a unit, from `low`
on, in the order of the problems' ids, and `-` for a problem without a value. Eight samples a problem are thus one string, and
pass@k for every k up to eight follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lib import seeds
from lib.course import Course
from lib.home import Home
from lib.loop_tokens import stage_figures
from lib.store import Store

Json = dict[str, Any]

MACHINE = {"seconds", "cpu_seconds", "max_rss_bytes", "cuda_max_bytes", "micro_batch"}
"""What a stage notes of the machine, which is no result."""

DERIVED = "pass_at_"


def campaign(home: Home, course: Course, wanted: set[str]) -> Json:
    """A campaign, round by round: tokens, the metrics of the model that stood then, and the wanted ones problem by problem."""
    from lib.campaign import CampaignFolder

    store = Store(home.store)
    records = {record.round: record for record in CampaignFolder(home, course.member.campaign).finished()}
    names = sorted({name for found in course.validation for items in found.items.values() for name in items})
    rounds = []
    for number, tokens in sorted(course.tokens.items()):
        stands = course.stands("validation", number)
        kept = {"pass_at_1" if metric.startswith(DERIVED) else metric for metric in wanted}
        items = {metric: packed(stands.items[metric], names) for metric in sorted(kept) if stands and metric in stands.items}
        rounds.append(
            {
                "round": number,
                "stands": stands.round if stands else None,
                "sampled": tokens.sampled,
                "trained": tokens.trained,
                "metrics": {name: [_short(value), _short(error)] for name, (value, error) in sorted(stands.metrics.items())}
                if stands
                else {},
                "items": {metric: found for metric, found in items.items() if found is not None},
                "figures": figures(records[number], store) if number else {},
            }
        )
    return {"problems": seeds.short_id(*names)[:12], "rounds": rounds}


def figures(record: Any, store: Store) -> dict[str, dict[str, float]]:
    """Stage → what its one job said of itself in numbers."""
    found = {}
    for path, stage in record.stages.items():
        jobs = stage_figures(record, path, store) if stage["verb"] in ("filter", "train") else []
        if len(jobs) == 1:
            found[path] = {
                name: _short(value)
                for name, value in sorted(jobs[0].items())
                if isinstance(value, int | float) and not isinstance(value, bool) and name not in MACHINE
            }
    return found


def packed(values: Mapping[str, float], names: Sequence[str]) -> Json | None:
    """Values of problems as digits; None where no digit a problem says them."""
    for of in (1, 2, 4, 8):
        for low in (0, -1):
            parts = {name: (value - low) * of for name, value in values.items()}
            if all(abs(part - round(part)) < 1e-9 and 0 <= round(part) <= 9 for part in parts.values()):
                return {"of": of, "low": low, "digits": "".join(str(round(parts[name])) if name in parts else "-" for name in names)}
    return None


def unpacked(found: Json) -> dict[str, float]:
    """Place among the problems → value."""
    return {str(at): int(digit) / found["of"] + found["low"] for at, digit in enumerate(found["digits"]) if digit != "-"}


def values(row: Json, metric: str) -> dict[str, float]:
    """A metric of one round, problem by problem; pass@k from how many of `of` samples were right. Empty where it is not kept."""
    if metric in row["items"]:
        return unpacked(row["items"][metric])
    kept = row["items"].get("pass_at_1")
    if not metric.startswith(DERIVED) or kept is None or (k := int(metric.removeprefix(DERIVED))) > kept["of"]:
        return {}
    return {place: pass_at(k, round(share * kept["of"]), kept["of"]) for place, share in unpacked(kept).items()}


def pass_at(k: int, correct: int, n: int) -> float:
    """1 - C(n - c, k) / C(n, k) (Chen et al. 2021)."""
    return 1 - math.comb(n - correct, k) / math.comb(n, k)


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
