"""Where a problem, a completion or an example came from and what came of it.

Only the tables' own rows are asked, of the artifacts that hold the id (lib.whereabouts) and then of those whose records say
that they read what was found. What is held in Python grows with the answer alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lib import records
from lib.ledger import Ledger
from lib.lineage_models import Held, job, learners, listed, stages_of, taught
from lib.lineage_tree import Node, facts
from lib.records import EXAMPLES

Row = dict[str, Any]
Grouped = dict[str, list[Row]]

_COLUMNS = """completion_id, problem_id, parent_id, model_id, role, text, finish_reason, temperature, top_p, seed, sample_index,
len(completion_ids) AS tokens, list_sort(list(DISTINCT artifact)) AS artifacts"""


@dataclass(frozen=True, slots=True)
class Completions:
    """Completions and what was said and made of them."""

    rows: list[Row]
    """One a completion, with every artifact that holds it."""
    verdicts: Grouped
    """completion_id → its verdicts."""
    fates: Grouped
    """completion_id → one row a filter artifact that read it: dropped (filter, reason) or in an example (example_id, part)."""
    places: Mapping[str, list[str]]
    """Artifact → where campaigns hold it."""
    learned: Mapping[Held, list[Node]]
    """Examples artifact and example → the models that learned it from there."""

    def node(self, row: Row, relation: str, behind: Iterable[Node] = ()) -> Node:
        """A completion with its verdicts and its fate in every filter stage."""
        name = row["completion_id"]
        said = [_verdict(verdict) for verdict in self.verdicts.get(name, [])]
        fates = [self._fate(fate) for fate in self.fates.get(name, [])]
        places = [place for artifact in row["artifacts"] for place in self.places.get(artifact, [])]
        return Node("completion", name, relation, _told(row, places), (*behind, *said, *fates))

    def taught(self, ledger: Ledger) -> list[Node]:
        """The models that learned from any of them, and those that came of these."""
        kept = sorted({held for fates in self.fates.values() for held in _kept(fates)})
        return taught(ledger, [node for held in kept for node in self.learned.get(held, ())])

    def _fate(self, row: Row) -> Node:
        places = self.places.get(row["artifact"])
        if row["example_id"] is None:
            return Node("filter", row["filter"], "dropped by", facts(reason=row["reason"], stands_in=places))
        models = tuple(self.learned.get((row["artifact"], row["example_id"]), ()))
        return Node("example", row["example_id"], "kept in", facts(part=row["part"], stands_in=places), models)


def problem(ledger: Ledger, problem_id: str) -> Node:
    """A problem, and the completions written for it with their verdicts, fates and learners."""
    held = ledger.part("completions", ledger.ids.holders("answered", problem_id))
    found = gather(ledger, held, f"problem_id IN ({listed([problem_id])})")
    told = _problem(ledger, problem_id, "")
    return Node(told.kind, told.id, "", told.facts, (*(found.node(row, "answered by") for row in found.rows), *found.taught(ledger)))


def completion(ledger: Ledger, completion_id: str) -> Node:
    """A completion: who wrote it how, what was said of it, and what came of it."""
    held = ledger.part("completions", ledger.ids.holders("completion", completion_id))
    found = gather(ledger, held, f"completion_id IN ({listed([completion_id])})")
    row = found.rows[0]
    told = found.node(row, "", (_problem(ledger, row["problem_id"], "answers"), *_sampling(ledger, row)))
    return Node(told.kind, told.id, "", told.facts, (*told.children, *found.taught(ledger)))


def example(ledger: Ledger, example_id: str) -> Node:
    """An example: the completions it was made of and the problem behind them, and the models that learned from it."""
    holders = ledger.ids.holders("example", example_id)
    kinds = [
        f"SELECT artifact, '{kind}' AS kind, problem_id, example_id FROM {ledger.part(s.name, holders)}" for kind, s in EXAMPLES.items()
    ]
    held = ledger.rows(
        f"SELECT artifact, kind, problem_id FROM ({' UNION ALL '.join(kinds)}) WHERE example_id = $id ORDER BY ALL", id=example_id
    )
    artifacts = [row["artifact"] for row in held]
    parts = ledger.rows(
        f"""SELECT DISTINCT completion_id, part FROM {ledger.part("example_sources", artifacts)}
        WHERE example_id = $id ORDER BY part, completion_id""",
        id=example_id,
    )
    found = gather(
        ledger,
        ledger.part("completions", _read_by_one(ledger, artifacts)),
        f"completion_id IN ({listed(row['completion_id'] for row in parts)})",
    )
    rows = {row["completion_id"]: row for row in found.rows}
    sources = [
        found.node(rows[part["completion_id"]], f"made of ({part['part']})", _sampling(ledger, rows[part["completion_id"]]))
        for part in parts
    ]
    places = stages_of(ledger, artifacts)
    after = learners(ledger, ((artifact, example_id) for artifact in artifacts))
    told = facts(kind=held[0]["kind"], stands_in=[place for artifact in artifacts for place in places.get(artifact, [])])
    children = [
        _problem(ledger, held[0]["problem_id"], "teaches"),
        *sources,
        *job(ledger, artifacts[0]),
        *taught(ledger, [node for nodes in after.values() for node in nodes]),
    ]
    return Node("example", example_id, "", told, tuple(children))


def gather(ledger: Ledger, source: str, where: str) -> Completions:
    """The completions of a source for which a condition holds, with all that other artifacts say of them."""
    rows = ledger.rows(f"SELECT {_COLUMNS} FROM {source} WHERE {where} GROUP BY ALL ORDER BY model_id, completion_id")
    ids = [row["completion_id"] for row in rows]
    held = {artifact for row in rows for artifact in row["artifacts"]}
    verify, filters = (_readers(ledger, held, kind) for kind in ("verify", "filter"))
    fates = _fates(ledger, filters, ids)
    return Completions(
        rows,
        _verdicts(ledger, verify, ids),
        fates,
        stages_of(ledger, [*held, *filters]),
        learners(ledger, {held for group in fates.values() for held in _kept(group)}),
    )


def _readers(ledger: Ledger, completions: Iterable[str], kind: str) -> list[str]:
    """The artifacts made by stages of a kind, or by trainings that did their work, that read any of these artifacts' completions."""
    found = ledger.rows(
        f"""SELECT DISTINCT a.digest FROM inputs AS i JOIN artifacts AS a USING (key)
        WHERE i.name = 'completions' AND i.artifact IN ({listed(completions)}) AND a.kind IN ($kind, 'train') ORDER BY ALL""",
        kind=kind,
    )
    return [row["digest"] for row in found]


def _read_by_one(ledger: Ledger, examples: Iterable[str]) -> list[str]:
    """The completions that went into whichever of these examples artifacts read the fewest; each had all it needed."""
    found = ledger.rows(
        f"""WITH read AS (SELECT DISTINCT a.digest, i.artifact FROM artifacts AS a JOIN inputs AS i USING (key)
            WHERE a.digest IN ({listed(examples)}) AND i.name = 'completions')
        SELECT list(artifact) AS artifacts FROM read GROUP BY digest ORDER BY count(*), digest LIMIT 1"""
    )
    return found[0]["artifacts"] if found else []


def _verdicts(ledger: Ledger, artifacts: Iterable[str], ids: Iterable[str]) -> Grouped:
    columns = "completion_id, verifier, step, rival_id, outcome, score, reason"
    return _grouped(
        ledger.rows(
            f"""SELECT DISTINCT {columns} FROM {ledger.part("verdicts", artifacts)}
            WHERE completion_id IN ({listed(ids)}) ORDER BY ALL"""
        )
    )


def _fates(ledger: Ledger, artifacts: Iterable[str], ids: Iterable[str]) -> Grouped:
    wanted = listed(ids)
    return _grouped(
        ledger.rows(
            f"""SELECT artifact, id AS completion_id, filter, reason, NULL AS example_id, NULL AS part
            FROM {ledger.part("dropped", artifacts)} WHERE unit = 'completion' AND id IN ({wanted})
            UNION ALL SELECT artifact, completion_id, NULL, NULL, example_id, part
            FROM {ledger.part("example_sources", artifacts)} WHERE completion_id IN ({wanted})
            ORDER BY completion_id, artifact, example_id, part, filter"""
        )
    )


def _kept(fates: Iterable[Row]) -> Iterator[Held]:
    """The examples, each in its artifact, among the fates of a completion."""
    yield from ((fate["artifact"], fate["example_id"]) for fate in fates if fate["example_id"])


def _grouped(rows: Iterable[Row]) -> Grouped:
    found: Grouped = {}
    for row in rows:
        found.setdefault(row["completion_id"], []).append(row)
    return found


def _verdict(row: Row) -> Node:
    return Node(
        "verdict",
        row["verifier"],
        "judged by",
        facts(outcome=row["outcome"], score=row["score"], reason=row["reason"], step=row["step"], rival=row["rival_id"]),
    )


def _told(row: Row, places: list[str]) -> tuple[tuple[str, Any], ...]:
    return facts(
        text=row["text"],
        sampled_by=row["model_id"],
        stands_in=places,
        role=row["role"],
        finish_reason=row["finish_reason"],
        tokens=row["tokens"],
        temperature=row["temperature"],
        top_p=row["top_p"],
        seed=row["seed"],
        sample_index=row["sample_index"],
        follows=row["parent_id"],
    )


def _sampling(ledger: Ledger, row: Row) -> list[Node]:
    """The jobs that wrote a completion."""
    return [node for artifact in row["artifacts"] for node in job(ledger, artifact, "sampled in")]


def _problem(ledger: Ledger, problem_id: str, relation: str) -> Node:
    """What is asked and where it comes from; the sets that hold it, with the split that each was drawn for."""
    held = ledger.part("problems", ledger.ids.holders("problem", problem_id))
    found = ledger.rows(f"SELECT * FROM {held} WHERE problem_id = $id ORDER BY artifact LIMIT 1", id=problem_id)
    if not found:
        return Node("problem", problem_id, relation, facts(origin="no problem set here holds it"))
    row = found[0]
    sets = ledger.rows(
        f"""SELECT DISTINCT a.digest, json_extract_string(a.settings, '$.split') AS split FROM {held} AS p
        JOIN artifacts AS a ON a.digest = p.artifact WHERE p.problem_id = $id ORDER BY ALL""",
        id=problem_id,
    )
    told = {name: row[name] for name in ("answer", "tests", "category", "difficulty", "answer_share", "born_round", "parent_ids")}
    return Node(
        "problem",
        problem_id,
        relation,
        facts(
            prompt="\n".join(message["content"] for message in records.chat(row["prompt"])),
            task=row["task"],
            source=row["source"],
            split=sorted({held["split"] for held in sets if held["split"]}),
            **told,
        ),
    )
