"""What the page of a comparison draws and tells, from what the comparison found (lib.side_by_side)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lib.report import charts
from lib.report.charts import Place
from lib.report.words import amount, count, spoken

Json = dict[str, Any]

AXES = {"sampled": "tokens sampled to learn from", "trained": "tokens trained on"}


def drawn(facts: Json) -> Json:
    """The facts with a chart for each metric over each kind of token, and the pairs grouped by metric."""
    metrics = list(dict.fromkeys(row["metric"] for row in facts["differences"]))
    return {
        **facts,
        "compared": " or ".join(map(str, sorted({row["round"] for row in facts["campaigns"]}))),
        "charts": [_chart(metric, axis, lines, facts["recipes"]) for metric, lines in facts["curves"].items() for axis in AXES],
        "lead": facts["differences"][0]["sentence"] if facts["differences"] else "",
        "closing": _closing(facts["test"]),
        "metrics": [spoken(metric) for metric in dict.fromkeys(row["metric"] for row in facts["test"])],
        "pairs": [
            {"metric": spoken(metric), "rows": [_pair(row) for row in facts["differences"] if row["metric"] == metric]}
            for metric in metrics
        ],
    }


def _chart(metric: str, axis: str, lines: Sequence[Mapping[str, Any]], recipes: Sequence[str]) -> Json:
    title = f"{spoken(metric)} against {AXES[axis]}"
    drawing = charts.series(
        title, [(line["recipe"], recipes.index(line["recipe"]), [_place(p, axis) for p in line["points"]]) for line in lines]
    )
    rows = [
        {
            "recipe": line["recipe"],
            "round": point["round"] or "base",
            "tokens": amount(point[axis]),
            "value": _figure(point),
            "basis": f"{count(point['seeds'], 'seed')}, {count(point['problems'], 'problem')}",
        }
        for line in lines
        for point in line["points"]
    ]
    return {**drawing, "name": title, "rows": rows}


def _place(point: Mapping[str, Any], axis: str) -> Place:
    low, high = (point["value"] if point[end] is None else point[end] for end in ("low", "high"))
    where = f"round {point['round']}" if point["round"] else "base"
    return Place(point[axis], point["value"], low, high, f"{where}, {amount(point[axis])} tokens: {_figure(point)}")


def _figure(row: Mapping[str, Any]) -> str:
    """A value with the ends of its interval, where it has one."""
    ends = "" if row["low"] is None else f" ({row['low']:.3f} to {row['high']:.3f})".replace("-", "−")
    return f"{row['value']:.3f}{ends}"


def _closing(rows: Iterable[Mapping[str, Any]]) -> list[Json]:
    """A line a recipe, the base models last: the round, seeds, and the figure of every metric."""
    found: dict[str, Json] = {}
    for row in rows:
        line = found.setdefault(row["recipe"], {"recipe": row["recipe"], "round": at_round(row), "seeds": row["seeds"], "figures": {}})
        line["figures"][spoken(row["metric"])] = _figure(row)
    return list(found.values())


def at_round(row: Mapping[str, Any]) -> str:
    """Where a recipe is compared: at one round, or at one of several from seed to seed."""
    return ", ".join(str(number or "base") for number in row["rounds"])


def _pair(row: Mapping[str, Any]) -> Json:
    p = "" if row["p_holm"] is None else "< 0.001" if row["p_holm"] < 0.001 else f"{row['p_holm']:.2g}"
    return {"verdict": row["verdict"], "sentence": row["sentence"], "p": p}
