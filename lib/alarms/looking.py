"""Gathers what alarms look at from the artifacts of a round, in DuckDB: no row reaches Python, and no model is asked.

A training that sampled for itself tells of its completions and verdicts as other stages do.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lib import db, models
from lib.alarms.seen import Change, Drawn, Gold, Overlap, Part, Seen
from lib.errors import BadModel, UserError
from lib.ledger import text
from lib.records import EXAMPLES, TABLES
from lib.roles import POLICY
from lib.round_record import RoundRecord
from lib.store import Store

MEASURED = "evaluate/validation"
"""The stage whose completions and figures alarms read; the closing figures are none of theirs."""

PLACES = 9
"""Decimals that are kept of what DuckDB adds up."""

_DRAWN = """
SELECT count(*) AS completions, count(*) FILTER (finish_reason = 'length') AS truncated,
    count(*) FILTER (NOT list_contains($stops, list_last(completion_ids)) IS TRUE) AS unended,
    bool_and(ids_source = 'engine') AS told, favg(len(completion_ids)) AS mean_tokens, favg(entropy_mean) AS entropy
FROM ({completions}) WHERE role = $role AND finish_reason <> 'error' GROUP BY temperature > 0 ORDER BY temperature > 0 DESC LIMIT 1
"""
"""Sampled completions rather than greedy ones, where there are both."""

_CHANGES = """
WITH ours AS (SELECT metric, problem_id, min(value) AS value FROM ({now}) WHERE model_id = $model GROUP BY ALL),
theirs AS (SELECT metric, problem_id, min(value) AS value FROM ({was}) WHERE model_id = $base GROUP BY ALL)
SELECT metric, favg(ours.value - theirs.value) AS mean, stddev_samp(ours.value - theirs.value) AS deviation, count(*) AS n
FROM ours JOIN theirs USING (metric, problem_id) GROUP BY metric ORDER BY metric
"""

_OVERLAP = """
WITH held AS (SELECT problem_id, {asked} AS asked FROM ({held_out})),
leaked AS (SELECT problem_id FROM held UNION SELECT problem_id FROM ({problems}) SEMI JOIN held ON {asked} = held.asked),
learned AS (SELECT problem_id, count(*) AS examples FROM ({examples}) GROUP BY problem_id)
SELECT (SELECT coalesce(CAST(sum(examples) AS BIGINT), 0) FROM learned SEMI JOIN leaked USING (problem_id)) AS met,
    (SELECT coalesce(CAST(sum(examples) AS BIGINT), 0) FROM learned) AS learned,
    (SELECT count(*) FROM ({dropped}) WHERE filter = 'Decontaminate' AND starts_with(reason, 'held out')) AS kept_out,
    (SELECT count(*) FROM held) AS held_out
"""

_ASKED = r"trim(regexp_replace(lower(to_json(prompt)), '(\s|\\[nrt])+', ' ', 'g'))"

Row = dict[str, Any]


def look(record: RoundRecord, base: RoundRecord, store: Store, held_out: Iterable[str], *, stop_strings: bool) -> Seen:
    """What one round left; `base` is round 0, `held_out` are references to the problems of all held-out splits.

    `stop_strings`: whether the engine may end an answer without a token of its own.
    """
    stats = _stats(record, store)
    with _reading(_tables(record, base, store, held_out)) as tables:
        drawn, was = (_drawn(tables, name, _stops(one, store, stop_strings)) for name, one in (("drawn", record), ("drawn_base", base)))
        return Seen(
            figures=_figures(record),
            base=_figures(base),
            changes=_changes(tables, record, base),
            drawn=drawn,
            drawn_base=was,
            kept=_part([*stats["filter"], *stats["train"]], "kept", "completions"),
            undecided=_undecided([*stats["verify"], *stats["train"]]),
            gold=_gold(stats["verify"]),
            overlap=Overlap(**tables.ask(_OVERLAP)[0]),
        )


@dataclass(frozen=True, slots=True)
class _Tables:
    """Named selections of columns over the files of a store."""

    database: db.Connection
    selected: Mapping[str, str]

    def ask(self, sql: str, **parameters: object) -> list[Row]:
        """The rows of a query in which `{name}` stands for one of the selections."""
        asked = self.database.execute(sql.format(**self.selected, asked=_ASKED), parameters)
        columns = [column[0] for column in asked.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in asked.fetchall()]


def _tables(record: RoundRecord, base: RoundRecord, store: Store, held_out: Iterable[str]) -> dict[str, tuple[str, str, list[str]]]:
    """Name → table, columns and files."""
    sample = "role, finish_reason, completion_ids, ids_source, entropy_mean, temperature"
    learned = [ref for stage in _stages(record, "train") for refs in stage.get("learned", {}).values() for ref in refs]
    wanted: dict[str, tuple[str, str, Iterable[str]]] = {
        "drawn": ("completions", sample, _made(record, MEASURED)),
        "drawn_base": ("completions", sample, _made(base, MEASURED)),
        "now": ("metric_items", "model_id, metric, problem_id, value", _made(record, MEASURED)),
        "was": ("metric_items", "model_id, metric, problem_id, value", _made(base, MEASURED)),
        "problems": (
            "problems",
            "problem_id, prompt",
            [r for s in _stages(record, "sample", "train") for r in s["read"].get("problems", [])],
        ),
        "held_out": ("problems", "problem_id, prompt", held_out),
        "dropped": ("dropped", "filter, reason", [job["digest"] for s in _stages(record, "filter", "train") for job in s["jobs"]]),
        **{f"learned_{kind}": (spec.name, "problem_id", learned) for kind, spec in EXAMPLES.items()},
    }
    return {name: (table, columns, _files(store, table, refs)) for name, (table, columns, refs) in wanted.items()}


@contextmanager
def _reading(tables: Mapping[str, tuple[str, str, list[str]]]) -> Iterator[_Tables]:
    with tempfile.TemporaryDirectory(prefix="roundhouse-alarms-") as spill:
        database = db.connect([path for _, _, paths in tables.values() for path in paths], spill)
        try:
            for spec in TABLES.values():
                database.from_arrow(spec.empty()).create(f"empty_{spec.name}")
            selected = {name: _selected(*given) for name, given in tables.items()}
            selected["examples"] = " UNION ALL ".join(selected[f"learned_{kind}"] for kind in EXAMPLES)
            yield _Tables(database, selected)
        finally:
            database.close()


def _selected(table: str, columns: str, paths: list[str]) -> str:
    source = f"read_parquet([{', '.join(map(text, paths))}])" if paths else f"empty_{table}"
    return f"SELECT {columns} FROM {source}"


def _files(store: Store, table: str, references: Iterable[str]) -> list[str]:
    folders = (store.folder(reference) for reference in dict.fromkeys(references))
    return [str(path) for folder in folders if (path := folder / f"{table}.parquet").is_file()]


def _stages(record: RoundRecord, *verbs: str) -> list[dict[str, Any]]:
    return [stage for stage in record.stages.values() if stage["verb"] in verbs]


def _made(record: RoundRecord, path: str) -> list[str]:
    return [job["digest"] for job in record.stages.get(path, {"jobs": []})["jobs"]]


def _policy(record: RoundRecord) -> str:
    return {**record.start, **record.made}.get(POLICY, "")


def _figures(record: RoundRecord) -> dict[str, float]:
    """Those of the policy stand first."""
    rows = [row for row in reversed(record.metrics) if row["split"] == "validation" and row["slice"] == "all"]
    return {row["metric"]: row["value"] for row in rows}


def _stops(record: RoundRecord, store: Store, stop_strings: bool) -> list[int] | None:
    """The tokens that end an answer of a round's model; None where something else may end it."""
    if stop_strings:
        return None
    try:
        return list(models.stop_ids(store.folder(_policy(record))))
    except (BadModel, OSError, UserError):  # no model of ours wrote them, or its configuration is gone
        return None


def _drawn(tables: _Tables, name: str, stops: list[int] | None) -> Drawn | None:
    rows = tables.ask(_DRAWN.replace("{completions}", f"{{{name}}}"), stops=stops or [-1], role=POLICY)
    if not rows:
        return None
    row = rows[0]
    unended = row["unended"] if row["told"] and stops is not None else None
    entropy = None if row["entropy"] is None else round(row["entropy"], PLACES)
    return Drawn(row["completions"], row["truncated"], unended, round(row["mean_tokens"], PLACES), entropy)


def _changes(tables: _Tables, record: RoundRecord, base: RoundRecord) -> dict[str, Change]:
    found = {}
    for row in tables.ask(_CHANGES, model=_policy(record), base=_policy(base)):
        error = None if row["deviation"] is None else round(row["deviation"] / math.sqrt(row["n"]), PLACES)
        found[row["metric"]] = Change(round(row["mean"], PLACES), error, row["n"])
    return found


def _stats(record: RoundRecord, store: Store) -> dict[str, list[dict[str, Any]]]:
    """Verb → what was measured while each of its jobs was made."""
    return {
        verb: [store.stats(job["key"], job["version"]) for stage in _stages(record, verb) for job in stage["jobs"]]
        for verb in ("filter", "verify", "train")
    }


def _part(stats: list[dict[str, Any]], found: str, of: str) -> Part | None:
    whole = sum(int(one.get(of, 0)) for one in stats)
    return Part(sum(int(one.get(found, 0)) for one in stats), whole) if whole else None


def _undecided(stats: list[dict[str, Any]]) -> Part | None:
    outcomes = [one.get("outcomes", {}) for one in stats]
    return _part([{"undecided": said.get("undecided", 0), "said": sum(said.values())} for said in outcomes], "undecided", "said")


def _gold(stats: list[dict[str, Any]]) -> tuple[Gold, ...]:
    """From the counts `gold/A/B/both` and `gold/A/B/said` of lib.agreement_counts."""
    names = dict.fromkeys(name for one in stats for name in one if name.startswith("gold/") and name.endswith("/both"))
    return tuple(
        Gold(
            name.split("/")[2],
            name.split("/")[1],
            sum(int(one.get(name, 0)) for one in stats),
            sum(int(one.get(name.removesuffix("both") + "said", 0)) for one in stats),
        )
        for name in sorted(names)
    )
