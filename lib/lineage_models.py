"""Where a model came from and what came of it, from records alone: no row of a table is read but those of its own examples.

Ancestors stand side by side below the model, nearest first, each once; `start` and `reference` say who descends from whom.
The line ends at a model without a parent: initialised at random, or adopted from outside.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from lib.ledger import Ledger, text
from lib.lineage_tree import Node, facts
from lib.records import EXAMPLES

MAKERS = ("train", "initialise", "adopt")
"""The verbs whose artifacts are models."""

Held = tuple[str, str]
"""An examples artifact, and the id of an example in it."""

_LEARNED = ("examples", "replay")
"""The inputs of a train job that it learns from."""


def model(ledger: Ledger, digest: str) -> Node:
    """A model with its maker and ancestors behind it, and with its descendants and completions after it."""
    parents = _parents(ledger)
    line = _ancestors(digest, parents)
    examples = _examples_read(ledger, [digest, *line])
    places = stages_of(ledger, [digest, *line, *(row["artifact"] for rows in examples.values() for row in rows)])
    children = [
        *_makers(ledger, digest, examples.get(digest, []), places, is_root=True),
        *(_ancestor(ledger, name, examples.get(name, []), places) for name in line),
        *_descendants(ledger, digest, parents),
        *_sampled(ledger, digest),
    ]
    gone = ledger.rows("SELECT kind, id, how FROM forgotten_models WHERE model = $digest ORDER BY ALL", digest=digest)
    forgot = [f"{row['kind']} {row['id']} ({row['how']})" for row in gone]
    told = facts(stands_in=places.get(digest), bytes=_bytes(ledger, digest), learned_before_it_was_forgotten=forgot)
    return Node("model", digest, facts=told, children=tuple(children))


def job(ledger: Ledger, artifact: str, relation: str = "made by", children: tuple[Node, ...] = ()) -> list[Node]:
    """The publications of an artifact: one node each, with everything that its result depends on."""
    found = ledger.rows("SELECT * FROM artifacts WHERE digest = $digest AND key IS NOT NULL ORDER BY key, version", digest=artifact)
    return [
        Node(
            "job",
            row["key"],
            relation,
            facts(
                stage=row["kind"],
                version=row["version"],
                settings=json.loads(row["settings"]),
                seed=row["seed"],
                models=_roles(ledger, row["key"]),
                code=row["code"],
                versions=json.loads(row["versions"]),
            ),
            children,
        )
        for row in found
    ]


def stages_of(ledger: Ledger, artifacts: Iterable[str]) -> dict[str, list[str]]:
    """Artifact → where campaigns hold it, as `CAMPAIGN round N PHASE/STAGE`."""
    found: dict[str, list[str]] = {}
    wanted = listed(artifacts)
    for row in ledger.rows(
        f"""SELECT DISTINCT digest, campaign, round, attempt, stage FROM stages
        WHERE digest IN ({wanted}) ORDER BY campaign, round, attempt, stage"""
    ):
        again = f" attempt {row['attempt']}" if row["attempt"] > 1 else ""
        found.setdefault(row["digest"], []).append(f"{row['campaign']} round {row['round']}{again} {row['stage']}")
    return found


def learners(ledger: Ledger, held: Iterable[Held]) -> dict[Held, list[Node]]:
    """Examples, each in an artifact → the models that learned it from there; not those that were given it and let it go."""
    asked = sorted({*held})
    found = ledger.rows(
        f"""SELECT DISTINCT i.artifact, i.name, a.digest FROM inputs AS i JOIN artifacts AS a USING (key)
        WHERE a.kind = 'train' AND i.name IN ({listed(_LEARNED)}) AND i.artifact IN ({listed(artifact for artifact, _ in asked)})
        ORDER BY ALL"""
    )
    models = {row["digest"] for row in found}
    named = listed(example for _, example in asked)
    gone = {tuple(row.values()) for row in ledger.rows(f"SELECT * FROM {evicted(ledger, models)} WHERE example_id IN ({named})")}
    places = stages_of(ledger, models)
    made: dict[str, list[tuple[str, Node]]] = {}
    for row in found:
        model, relation = row["digest"], "learned by" if row["name"] == "examples" else "replayed by"
        made.setdefault(row["artifact"], []).append((model, Node("model", model, relation, facts(stands_in=places.get(model)))))
    return {
        (artifact, example): [
            node for model, node in made.get(artifact, ()) if node.relation == "replayed by" or (model, artifact, example) not in gone
        ]
        for artifact, example in asked
    }


def evicted(ledger: Ledger, models: Iterable[str]) -> str:
    """What these models were given among their examples and did not learn: (model, artifact, example_id), as SQL after FROM."""
    return f"""(SELECT DISTINCT e.artifact AS model, i.artifact, e.example_id FROM {ledger.part("evicted", models)} AS e
        JOIN artifacts AS a ON a.digest = e.artifact JOIN inputs AS i ON i.key = a.key AND i.name = 'examples' AND i.place = e.place)"""


def taught(ledger: Ledger, direct: Iterable[Node]) -> list[Node]:
    """Models that learned from something, each once, and then every model that was trained from these, however late."""
    learned = {node.id: node for node in direct}
    heirs = _offspring(learned, _parents(ledger))
    places = stages_of(ledger, heirs)
    later = [
        Node("model", name, "inherited by", facts(through=through, stands_in=places.get(name)))
        for name, through in heirs.items()
        if name not in learned
    ]
    return [*learned.values(), *later]


def listed(values: Iterable[str]) -> str:
    """Values for an SQL IN (…); an empty list matches nothing."""
    return ", ".join(text(value) for value in sorted({*values})) or "NULL"


def _parents(ledger: Ledger) -> dict[str, dict[str, str]]:
    """Model → role in its training → model, for every trained model; a model that is gone stands under its weights' digest."""
    found: dict[str, dict[str, str]] = {}
    for row in ledger.rows(
        f"""SELECT a.digest, m.role, coalesce(m.model, m.weights) AS parent FROM artifacts AS a JOIN job_models AS m USING (key)
        WHERE a.kind IN ({listed(MAKERS)}) ORDER BY ALL"""
    ):
        found.setdefault(row["digest"], {})[row["role"]] = row["parent"]
    return found


def _ancestors(digest: str, parents: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Every model behind one, nearest first; a model that training left as it was is its own parent, and is passed over."""
    seen = [digest]
    for name in seen:
        seen.extend(parent for parent in dict.fromkeys(parents.get(name, {}).values()) if parent not in seen)
    return seen[1:]


def _examples_read(ledger: Ledger, models: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Model → the examples artifacts that its training read: the name of the input, and by kind how many it learned and evicted."""
    read = ledger.rows(
        f"""SELECT DISTINCT a.digest, i.name, i.artifact FROM artifacts AS a JOIN inputs AS i USING (key)
        WHERE a.digest IN ({listed(models)}) AND i.name IN ({listed(_LEARNED)}) AND i.artifact IS NOT NULL ORDER BY ALL"""
    )
    counted = _counted(ledger, {row["artifact"] for row in read})
    gone = _evicted(ledger, read)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in read:
        went = gone.get((row["digest"], row["artifact"]), {}) if row["name"] == "examples" else {}
        learned = {kind: n - went.get(kind, 0) for kind, n in counted[row["artifact"]].items()}
        found.setdefault(row["digest"], []).append({**row, "rows": learned, "evicted": went})
    return found


def _evicted(ledger: Ledger, read: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, int]]:
    """Model and examples artifact → kind → how many of its examples the model was given and let go."""
    models, artifacts = {row["digest"] for row in read}, {row["artifact"] for row in read}
    if not any(ledger.files("evicted", model) for model in models):
        return {}
    kinds = [f"SELECT artifact, example_id, '{kind}' AS kind FROM {ledger.part(spec.name, artifacts)}" for kind, spec in EXAMPLES.items()]
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in ledger.rows(
        f"""SELECT model, artifact, kind, count(*) AS n FROM {evicted(ledger, models)}
        JOIN ({" UNION ALL ".join(kinds)}) USING (artifact, example_id) GROUP BY ALL ORDER BY ALL"""
    ):
        found.setdefault((row["model"], row["artifact"]), {})[row["kind"]] = row["n"]
    return found


def _counted(ledger: Ledger, artifacts: Iterable[str]) -> dict[str, dict[str, int]]:
    """Examples artifact → kind → how many it holds, from the footers of its files."""
    held = {
        path: (artifact, kind)
        for artifact in sorted(artifacts)
        for kind, spec in EXAMPLES.items()
        for path in ledger.files(spec.name, artifact)
    }
    found: dict[str, dict[str, int]] = {artifact: {} for artifact in artifacts}
    paths = ", ".join(map(text, held))
    for row in ledger.rows(f"SELECT file_name, num_rows FROM parquet_file_metadata([{paths}])") if held else ():
        artifact, kind = held[row["file_name"]]
        found[artifact][kind] = found[artifact].get(kind, 0) + int(row["num_rows"])
    return found


def _ancestor(ledger: Ledger, digest: str, examples: list[dict[str, Any]], places: Mapping[str, list[str]]) -> Node:
    made = _makers(ledger, digest, examples, places, is_root=False)
    told = facts(stands_in=places.get(digest), origin=None if made else "no record of this model is here")
    return Node("model", digest, "descends from", told, tuple(made))


def _makers(ledger: Ledger, digest: str, examples: list[dict[str, Any]], places: Mapping[str, list[str]], *, is_root: bool) -> list[Node]:
    read = tuple(
        Node(
            "examples",
            row["artifact"],
            _relation(row),
            facts(
                examples=row["rows"],
                evicted=row["evicted"],
                stands_in=places.get(row["artifact"]),
                **(_behind(ledger, row["artifact"]) if is_root else {}),
            ),
            tuple(job(ledger, row["artifact"])) if is_root else (),
        )
        for row in examples
    )
    return job(ledger, digest, children=read)


def _relation(row: Mapping[str, Any]) -> str:
    if row["name"] == "replay":
        return "replayed"
    return "learned from" if any(row["rows"].values()) or not row["evicted"] else "given, and let go whole"


def _behind(ledger: Ledger, artifact: str) -> dict[str, Any]:
    """What an examples artifact was made from: completions and problems used, completions dropped, models that sampled."""
    sources = ledger.part("example_sources", [artifact])
    used = ledger.rows(f"SELECT count(DISTINCT completion_id) AS n FROM {sources} WHERE part <> 'prompt'")[0]["n"]
    dropped = ledger.rows(f"SELECT reason, count(*) AS n FROM {ledger.part('dropped', [artifact])} GROUP BY reason ORDER BY n DESC, reason")
    models = ledger.rows(
        """SELECT DISTINCT coalesce(m.model, m.weights) AS model FROM artifacts AS a
        JOIN inputs AS i ON i.key = a.key AND i.name = 'completions'
        JOIN artifacts AS s ON s.digest = i.artifact JOIN job_models AS m ON m.key = s.key
        WHERE a.digest = $artifact ORDER BY ALL""",
        artifact=artifact,
    )
    return {
        "completions": used,
        "dropped": {row["reason"]: row["n"] for row in dropped},
        "sampled_by": [row["model"] for row in models],
    }


def _descendants(ledger: Ledger, digest: str, parents: Mapping[str, Mapping[str, str]]) -> list[Node]:
    """The models that were trained from one, then those that were trained from these, and so on."""
    found = _offspring([digest], parents)
    places = stages_of(ledger, found)
    nodes = []
    for child, through in found.items():
        roles = ", ".join(role for role, parent in parents[child].items() if parent == digest)
        told = facts(as_role=roles, through=[] if roles else through, stands_in=places.get(child))
        nodes.append(Node("model", child, "trained from it" if roles else "descended from it", told))
    return nodes


def _offspring(models: Iterable[str], parents: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """Every model that came of these → which of them and of their offspring it was trained from; the nearest first."""
    children: dict[str, list[str]] = {}
    for child, roles in parents.items():
        for parent in {*roles.values()} - {child}:
            children.setdefault(parent, []).append(child)
    generation = sorted({*models})
    known, found = {*generation}, dict[str, list[str]]()
    while generation:
        generation = sorted({child for parent in generation for child in children.get(parent, ())} - {*found})
        found |= {child: [] for child in generation}
        known |= {*generation}
    return {child: sorted({*parents[child].values()} & known - {child}) for child in found}


def _sampled(ledger: Ledger, digest: str) -> list[Node]:
    """The completions that a model wrote, one node a stage of a round."""
    found = ledger.rows(
        """SELECT s.campaign, s.round, s.attempt, s.stage, count(*) AS shards, CAST(sum(rows['completions']) AS BIGINT) AS n
        FROM (SELECT DISTINCT campaign, round, attempt, stage, key, version FROM stages) AS s
        JOIN (SELECT * FROM artifacts WHERE kind = 'sample') AS a USING (key, version)
        JOIN (SELECT DISTINCT key FROM job_models WHERE model = $digest) USING (key)
        GROUP BY ALL ORDER BY s.campaign, s.round, s.attempt, s.stage""",
        digest=digest,
    )
    return [
        Node(
            "completions",
            f"{row['campaign']} round {row['round']}" + (f" attempt {row['attempt']}" if row["attempt"] > 1 else ""),
            "sampled by it",
            facts(stage=row["stage"], completions=row["n"], shards=row["shards"]),
        )
        for row in found
    ]


def _roles(ledger: Ledger, key: str) -> dict[str, str]:
    rows = ledger.rows("SELECT role, coalesce(model, weights) AS model FROM job_models WHERE key = $key ORDER BY role", key=key)
    return {row["role"]: row["model"] for row in rows}


def _bytes(ledger: Ledger, digest: str) -> int | None:
    found = ledger.rows("SELECT max(bytes) AS n FROM artifacts WHERE digest = $digest", digest=digest)
    return found[0]["n"]
