"""What a campaign cost, stage by stage, from its records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lib.budget import Cost, Spending, together
from lib.report import charts
from lib.report.words import amount
from lib.round_record import RoundRecord

VERBS = ("sample", "verify", "filter", "train", "evaluate", "control")

Row = dict[str, Any]


def rows(records: Sequence[RoundRecord]) -> list[Row]:
    """A row for each stage of each round: spent tokens, device-seconds and seconds, and the share of its seconds that was reused."""
    found = []
    for record in records:
        for path, stage in record.stages.items():
            spent, reused = (Cost.of(stage.get("cost", {}).get(name, {})) for name in ("spent", "reused"))
            whole = spent.seconds + reused.seconds
            found.append(
                {
                    "round": record.round,
                    "attempt": record.attempt,
                    "stage": path,
                    "verb": stage["verb"],
                    "tokens": spent.tokens,
                    "device_seconds": spent.device_seconds,
                    "seconds": spent.seconds,
                    "reused": reused.seconds / whole if whole else None,
                }
            )
    return found


def by_verb(found: Iterable[Row]) -> list[Row]:
    """One row a verb, over all rounds."""
    summed: dict[str, Cost] = {}
    for row in found:
        cost = Cost(row["tokens"], row["device_seconds"], row["seconds"])
        summed[row["verb"]] = together([summed.get(row["verb"], Cost()), cost])
    return [
        {"verb": verb, "tokens": amount(cost.tokens), "device_seconds": amount(cost.device_seconds), "seconds": amount(cost.seconds)}
        for verb, cost in sorted(summed.items(), key=lambda item: VERBS.index(item[0]) if item[0] in VERBS else len(VERBS))
    ]


def chart(found: Sequence[Row]) -> list[Row]:
    """Device-seconds of each round, by verb; of rounds that were tried again, all attempts together."""
    numbers = sorted({row["round"] for row in found})
    stacked = [
        (
            "base" if number == 0 else f"round {number}",
            [(verb, sum(row["device_seconds"] for row in found if (row["round"], row["verb"]) == (number, verb))) for verb in VERBS],
        )
        for number in numbers
    ]
    return charts.stacks(stacked) if any(value for _, parts in stacked for _, value in parts) else []


def totals(spending: Spending, records: Sequence[RoundRecord]) -> dict[str, Cost]:
    """What was spent in all runs, reruns included, and what the rounds on record reused."""
    reused = [Cost.of(stage.get("cost", {}).get("reused", {})) for record in records for stage in record.stages.values()]
    return {"spent": spending.total(), "reused": together(reused)}
