"""Forgetting a problem or a completion: every artifact that holds it is rewritten without it, and the old files are removed.

What becomes of each row is told in lib.redaction. In order, so that a kill leaves an artifact old or new and the same command
goes on: the note (lib.forgotten), from which on nothing that is published holds it again; for each artifact the new one, a
new version of every record that names the old one, the stone, and the removal of the old files; then what else may hold it:
the index, quarantine, what jobs kept for another try, exports inside the home; last the events for MLflow, and the note as done.

Records and rounds go on naming the old digests, and by the stones these mean the new artifacts. So a stage that would run again
finds its new version, without what was forgotten; one that reads a table which changed has another key. Models stay as
they are, for weights cannot be rewritten: those that learned from it are named, and marked in the ledger and in MLflow.

A problem that was made of a completion is its text, so that either takes the other with it.

Not covered: what lies outside the home (a user's file of problems or recordings, exports, backups, MLflow's own store), and what
a model that learned it can still say.
"""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa

from lib import campaign, events, exported, tables, tombstone
from lib.errors import RoundhouseError, UnknownName, UserError
from lib.forgotten import KINDS, Forgotten, Stone, known, note
from lib.home import Home
from lib.in_use import collecting
from lib.ledger import Ledger
from lib.lineage import resolve
from lib.lineage_models import learners, listed, taught
from lib.lineage_tree import Node
from lib.records import EXAMPLES
from lib.redaction import Redaction
from lib.store import Store

MENTIONED = 16
"""A text shorter than this is not looked for in other files: too much else says the same."""


def plan(home: Home, kind: str, name: str) -> Forgotten:
    """What would go, with nothing changed. Raises UserError for what is unknown, or forgotten already."""
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS, "that can be forgotten")
    before = [one for one in known(home.store) if one.kind == kind and name and one.id.startswith(name)]
    if len(before) == 1 and before[0].is_done:
        raise UserError(f"{before[0].name} was forgotten on {before[0].at[:10]}; nothing of it is left here")
    if len(before) == 1:
        return before[0]
    with Ledger(home) as ledger:
        found = resolve(ledger, kind, name)
        one = Forgotten(kind, found, datetime.now(UTC).isoformat(timespec="seconds"))
        while (more := _whole(ledger, one)) != one:
            one = more
        return replace(one, artifacts=dict.fromkeys(_holders(ledger, one), ""), learned=_learned(ledger, one.examples))


def _whole(ledger: Ledger, one: Forgotten) -> Forgotten:
    """What goes with what is known to go: again until there is no more, for a problem may be made of an answer to another."""
    about = f"problem_id IN ({listed(one.problems)})"
    removed = _ids(ledger, f"SELECT completion_id FROM completions WHERE {about}")
    made_of = f"SELECT unnest(parent_ids) FROM problems WHERE {about}"
    begun = _ids(ledger, f"SELECT completion_id FROM completions WHERE completion_id IN ({made_of})")
    blanked = _following(ledger, removed, [*begun, *([one.id] if one.kind == "completion" else [])])
    sources = f"SELECT example_id FROM example_sources WHERE completion_id IN ({listed([*removed, *blanked])})"
    examples = _ids(ledger, f"{sources} UNION SELECT example_id FROM examples WHERE {about}")
    born = _ids(
        ledger, f"SELECT problem_id FROM problems WHERE problem_id IN ({listed(examples)}) AND problem_id NOT IN ({listed([one.id])})"
    )
    return replace(one, removed=tuple(removed), blanked=tuple(blanked), examples=tuple(examples), born=tuple(born))


def forget(home: Home, kind: str, name: str) -> Forgotten:
    """Forget it, and say what was rewritten and who had learned from it. Raises Held while a campaign of the home runs."""
    with ExitStack() as held:
        for found in campaign.names(home):
            held.enter_context(campaign.CampaignFolder(home, found).hold(wait=False))
        held.enter_context(collecting(home.locks))
        one = plan(home, kind, name)
        note(home.store, one)
        store, gone = Store(home.store), Redaction.of([one])
        makers = _publications(home, one.artifacts)
        for digest in sorted(one.artifacts):
            _rewrite(store, digest, one, gone, makers.get(digest, []))
        shutil.rmtree(home.index, ignore_errors=True)
        _clear_quarantine(home, gone)
        if one.problems:
            shutil.rmtree(home.scratch, ignore_errors=True)  # answers that unfinished jobs keep may be to it
        exported.drop_inside(home, {*one.artifacts, *one.learned})
        done = replace(one, artifacts={digest: store.now(digest) for digest in one.artifacts}, is_done=True)
        _announce(home, done)
        note(home.store, done)
        return done


def mentions(home: Home, one: Forgotten, text: str) -> list[str]:
    """Files of campaigns, of the outbox and of the home's own MLflow that name its id or quote a longer text of it.

    They are for a person to look at: reports, which quote completions, are among them.
    """
    words = [one.id, *one.born, *([text, json.dumps(text)[1:-1], html.escape(text)] if len(text) >= MENTIONED else [])]
    wanted = {word.encode("utf-8", "replace") for word in words}
    found = []
    for path in sorted([*home.campaigns.rglob("*"), *home.outbox.rglob("*.json"), *home.mlflow_files.rglob("*")]):
        if path.is_file() and any(word in path.read_bytes() for word in wanted):
            found.append(str(path.relative_to(home.root)))
    return found


def text_of(home: Home, kind: str, name: str) -> str:
    """What a completion says; nothing of a problem, whose parts may stand anywhere."""
    if kind != "completion":
        return ""
    with Ledger(home, views=False) as ledger:
        held = ledger.part("completions", ledger.ids.holders("completion", name))
        rows = ledger.rows(f"SELECT text FROM {held} WHERE completion_id = $id LIMIT 1", id=name)
    return str(rows[0]["text"]) if rows else ""


def _ids(ledger: Ledger, sql: str) -> list[str]:
    """The distinct values of a query's one column, in order."""
    return [str(value) for row in ledger.rows(f"SELECT DISTINCT * FROM ({sql}) ORDER BY ALL") for value in row.values()]


def _following(ledger: Ledger, removed: list[str], blanked: list[str]) -> list[str]:
    """What is blanked, and every completion that one of all these was a parent of, or the beginning."""
    known_ids, new = {*removed, *blanked}, [*removed, *blanked]
    while new:
        named = f"IN ({listed(new)})"
        after = f"SELECT completion_id FROM completions WHERE parent_id {named} UNION SELECT completion_id FROM nodes WHERE parent {named}"
        more = _ids(ledger, after)
        new = [name for name in more if name not in known_ids]
        known_ids |= {*new}
    return sorted(known_ids - {*removed})


def _holders(ledger: Ledger, one: Forgotten) -> list[str]:
    """The artifacts with a row of it."""
    ids, examples = listed([*one.removed, *one.blanked]), listed(one.examples)
    problem = listed(one.problems)
    named = f"completion_id IN ({ids})"
    asked = {
        "problems": f"problem_id IN ({problem})",
        "completions": f"{named} OR problem_id IN ({problem})",
        "verdicts": f"{named} OR rival_id IN ({ids})",
        "nodes": named,
        "token_scores": named,
        "example_sources": f"{named} OR example_id IN ({examples})",
        "dropped": f"id IN ({listed([one.id, *one.removed, *one.blanked, *one.examples, *one.born])})",
        **{spec.name: f"example_id IN ({examples}) OR problem_id IN ({problem})" for spec in EXAMPLES.values()},
    }
    return _ids(ledger, " UNION ".join(f"SELECT artifact FROM {table} WHERE {condition}" for table, condition in asked.items()))


def _learned(ledger: Ledger, examples: Iterable[str]) -> dict[str, str]:
    """Model → how it came to learn from these examples."""
    held = ledger.rows(f"SELECT DISTINCT artifact, example_id FROM example_sources WHERE example_id IN ({listed(examples)})")
    found = learners(ledger, ((row["artifact"], row["example_id"]) for row in held))
    direct = [node for nodes in found.values() for node in nodes]
    return {node.id: _how(node) for node in taught(ledger, direct)}


def _how(node: Node) -> str:
    through = ", ".join(dict(node.facts).get("through", ()))
    return {"learned by": "directly", "replayed by": "by replay"}.get(node.relation, f"through {through}")


def _publications(home: Home, artifacts: Iterable[str]) -> dict[str, list[tuple[str, int]]]:
    """Artifact → the keys and versions that name it."""
    with Ledger(home, views=False) as ledger:
        rows = ledger.rows(
            f"SELECT digest, key, version FROM artifacts WHERE key IS NOT NULL AND digest IN ({listed(artifacts)}) ORDER BY ALL"
        )
    found: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        found.setdefault(row["digest"], []).append((row["key"], row["version"]))
    return found


def _rewrite(store: Store, digest: str, one: Forgotten, gone: Redaction, makers: list[tuple[str, int]]) -> None:
    """Put a new artifact in the place of one, and record it under the same keys."""
    if store.now(digest) != digest:
        store.replace(digest, Stone(one.at, store.now(digest), (one.name,)))
        return
    with store.workspace() as out:
        if not gone.folder(store.place(digest), out):
            return
        rows = tables.rows_in(out)
        after = store.adopt(out, tombstone.read(store.place(digest)))
    for key, version in makers:
        if any(store.read(key, other).digest == after for other in store.versions(key)):
            continue
        made = store.read(key, version)
        forgot = {"kind": one.kind, "id": one.id, "at": one.at, "version": version, "before": digest, "after": after}
        counted = {name: rows.get(name, count) for name, count in made.rows.items()}
        store.record(after, key, made.ingredients, counted, store.stats(key, version), {"forgot": forgot})
    store.replace(digest, Stone(one.at, after, (one.name,)))


def _clear_quarantine(home: Home, gone: Redaction) -> None:
    """Remove what lies there and holds it, or can no longer be looked through."""
    for entry in sorted((home.store / "quarantine").glob("*")):
        for path in entry.rglob("*.parquet") if entry.is_dir() else ():
            try:
                holds = gone.holds(path)
            except (RoundhouseError, pa.ArrowException, OSError):  # damage is why it is here
                holds = True
            if holds:
                shutil.rmtree(entry)
                break


def _announce(home: Home, one: Forgotten) -> None:
    """Queue one event for each campaign that has a model which learned from it."""
    with Ledger(home, views=False) as ledger:
        rows = ledger.rows(
            f"SELECT DISTINCT campaign, role, model_out AS model FROM rounds WHERE model_out IN ({listed(one.learned)}) ORDER BY ALL"
        )
    refs: dict[str, list[events.ModelRef]] = {}
    for row in rows:
        digest = row["model"]
        refs.setdefault(row["campaign"], []).append(events.ModelRef(row["role"], digest, f"store/artifacts/{digest[:2]}/{digest}"))
    for name, models in refs.items():
        events.put(home.outbox, events.ForgetEvent(name, one.kind, one.id, tuple(models)))
