"""What `roundhouse diff` prints: two rounds side by side."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from flows.terminal import apart, cell, print_json, put, table
from flows.wording import spoken
from lib import differing
from lib import home as homes
from lib.differing_texts import changed
from lib.ledger import Ledger

SHOWN = 400
"""Characters of a completion or prompt that are shown; --json has all."""

Json = dict[str, Any]


def diff(one: str, other: str, limit: int, as_json: bool) -> None:
    """Say what differs between two rounds. Raises UserError for what names none."""
    home = homes.to_read()
    sides = differing.named(home, one, other)
    found = differing.differences(home, *sides)
    with Ledger(home) as ledger:
        texts = changed(ledger, *sides, limit)
    if as_json:
        print_json({**found, "outcomes": texts.counts, "completions": texts.shown})
        return
    names = {"a": sides[0].name, "b": sides[1].name}
    put(
        apart(
            [
                _about(found, names),
                _part("settings", found["settings"], names, "setting"),
                _part("code", _modules(found["code"]), names, "stages"),
                _part("versions of libraries", _modules(found["versions"]), names, "stages"),
                [table([_headed(row, names) for row in found["data"]], "problems")],
                [table([_headed(row, names) for row in found["funnel"]], "completions and examples")],
                _part("dropped", found["dropped"], names, "filter"),
                [table([_headed(_measured(row), names) for row in found["metrics"]], "figures")],
                [table([_headed(row, names) for row in texts.counts], "outcomes at the same place of the draw")],
                *(_written(row, names) for row in texts.shown),
            ]
        )
    )


def _about(found: Json, names: dict[str, str]) -> list[Any]:
    rows = [{name: side[name] for name in ("round", "recipe", "state", "model", "began_with")} for side in (found["a"], found["b"])]
    short = [{**row, "model": row["model"][:12], "began_with": row["began_with"][:12]} for row in rows]
    said = [Text(cell(f"{side['round']}: {side['decision']}")) for side in (found["a"], found["b"]) if side["decision"]]
    return [table([{name.replace("_", " "): value for name, value in row.items()} for row in short], "rounds"), *said]


def _part(title: str, rows: list[Json], names: dict[str, str], first: str) -> list[Any]:
    """A table of what differs, or a line that nothing does."""
    if not rows:
        return [Text(f"{title}: the same")]
    return [table([_headed(row, names) for row in rows], f"{title} that differ" if first != "filter" else title)]


def _headed(row: Json, names: dict[str, str]) -> Json:
    """A row with the rounds' own names at its head; where both are one round, the second is marked."""
    heads = {"a": names["a"], "b": names["b"] if names["b"] != names["a"] else f"{names['b']} (again)"}
    return {heads.get(name, name): value for name, value in row.items()}


def _modules(rows: list[Json]) -> list[Json]:
    """Modules or distributions that differ, once each, with the stages that ran them."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for row in rows:
        found.setdefault((row["name"], row["a"], row["b"]), []).append(row["stage"])
    return [{"name": n, "a": _short(a), "b": _short(b), "stages": ", ".join(stages)} for (n, a, b), stages in found.items()]


def _short(value: str | None) -> str:
    return "not there" if value is None else value[:12]


def _measured(row: Json) -> Json:
    difference = row["difference"]
    return {**row, "metric": spoken(row["metric"]), "difference": "" if difference is None else f"{difference:+.4g}"}


def _written(row: Json, names: dict[str, str]) -> list[Any]:
    """What both wrote for a problem, never read as markup."""
    head = f"problem {row['problem_id']}, {row['stage']}, sample {row['sample_index']}"
    return [
        Text(head, style="bold"),
        Text(f"asked: {_cut(row['prompt'])}"),
        Text(f"{names['a']} {row['outcome_a']}: {_cut(row['text_a'])}"),
        Text(f"{names['b']} {row['outcome_b']}: {_cut(row['text_b'])}"),
    ]


def _cut(written: str) -> str:
    shown = cell(written)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
