"""Both ways from one thing of a home, from its artifacts and records alone, without MLflow.

    model        back: the job that made it, the examples it learned from, every ancestor to the first; on: models
                 trained from it and from these, completions sampled by it
    example      back: completions, their verdicts, sampling and problem; on: models that learned from it
    completion   back: its problem and sampling; verdicts; on: kept in which examples or dropped by what, and the learners
    problem      on: completions, each with verdicts, fates and learners

A problem or completion that was forgotten is known by its id, when it went, and who had learned from it. The last three end in
that learned from what they are about, and every later one that was trained from those.

Not covered: that the files are what their names say (a stage checks that when it reads them), and what was removed from the
store: it stays in the records that name it and is shown by its id alone.
"""

from __future__ import annotations

from collections.abc import Callable

from lib import lineage_models, lineage_rows
from lib.campaign import CampaignFolder, models_by_reference, names
from lib.errors import UnknownName, UserError
from lib.home import Home
from lib.ledger import Ledger
from lib.lineage_models import MAKERS, listed
from lib.lineage_tree import Node, facts
from lib.whereabouts import LAST

SHORTEST = 6
"""Characters of an id that must be given."""

SHOWN = 5
"""Candidates that an error names."""

_WALKS: dict[str, Callable[[Ledger, str], Node]] = {
    "model": lineage_models.model,
    "example": lineage_rows.example,
    "completion": lineage_rows.completion,
    "problem": lineage_rows.problem,
}

_MODELS = f"(SELECT digest AS id FROM artifacts WHERE kind IN ({listed(MAKERS)}))"

KINDS = tuple(_WALKS)


def lineage(home: Home, kind: str, name: str) -> Node:
    """The walk from a model, example, completion or problem, named by its id or by the beginning of it.

    A model may also be `CAMPAIGN` or `CAMPAIGN:champion`, `CAMPAIGN:base` or `CAMPAIGN:N` (round N; 0 is the base).
    Raises UserError for a name that fits nothing, or several, and names what is near.
    """
    if kind not in _WALKS:
        raise UnknownName("kind", kind, _WALKS, "that has a lineage")
    with Ledger(home, views=False) as ledger:
        if (gone := _forgotten(ledger, kind, name)) is not None:
            return gone
        return _WALKS[kind](ledger, resolve(ledger, kind, name))


def _forgotten(ledger: Ledger, kind: str, name: str) -> Node | None:
    """What is still known of something that was forgotten; None for what was not."""
    asked = {"kind": kind, "low": name, "high": name + LAST}
    where = "WHERE kind = $kind AND id >= $low AND id < $high"
    found = ledger.rows(
        f"SELECT id, forgotten_at, list_sort(list(after)) AS artifacts FROM forgotten {where} GROUP BY ALL ORDER BY id", **asked
    )
    if len(found) != 1 or len(name) < SHORTEST:
        return None
    row = found[0]
    models = ledger.rows(f"SELECT model, how FROM forgotten_models {where} ORDER BY how, model", **asked)
    places = lineage_models.stages_of(ledger, [one["model"] for one in models])
    learned = [Node("model", m["model"], "had learned from it", facts(how=m["how"], stands_in=places.get(m["model"]))) for m in models]
    told = facts(forgotten=row["forgotten_at"], rewritten=row["artifacts"])
    return Node(kind, row["id"], "", told, tuple(lineage_models.taught(ledger, learned)))


def resolve(ledger: Ledger, kind: str, name: str) -> str:
    """The full id of what a name means."""
    campaign, _, reference = name.partition(":")
    if kind == "model" and (reference or campaign in names(ledger.home) or campaign.strip("0123456789abcdef")):
        return _of_campaign(ledger.home, campaign, reference or "champion")
    if len(name) < SHORTEST:
        raise UserError(f"'{name}' is too short to find a {kind} by; give at least {SHORTEST} characters of its id")
    ids = _like(ledger, kind, name)
    if not ids:
        raise UserError(f"no {kind} begins with '{name}'; {_nearest(ledger, kind, name)}")
    if len(ids) > 1 and name != ids[0]:
        more = ", …" if len(ids) > SHOWN else ""
        raise UserError(f"'{name}' begins several {kind} ids: {', '.join(ids[:SHOWN])}{more}; give more characters")
    return ids[0]


def _of_campaign(home: Home, campaign: str, reference: str) -> str:
    """The model of a campaign's reference; of several roles the policy's, or else the first."""
    folder = CampaignFolder(home, campaign)
    known = models_by_reference(folder.load(), folder.finished())
    known["0"] = known["base"]
    known |= {name.removeprefix("round:"): models for name, models in known.items() if name.startswith("round:")}
    if reference not in known:
        raise UnknownName("model", f"{campaign}:{reference}", [f"{campaign}:{name}" for name in known])
    models = known[reference]
    return models.get("policy") or models[min(models)]


def _like(ledger: Ledger, kind: str, name: str) -> list[str]:
    """The first ids that begin with a name, one more than are shown."""
    if kind != "model":
        return ledger.ids.like(kind, name, name + LAST, SHOWN + 1)
    found = ledger.rows(
        f"SELECT DISTINCT id FROM {_MODELS} WHERE id >= $low AND id < $high ORDER BY id LIMIT {SHOWN + 1}", low=name, high=name + LAST
    )
    return [str(row["id"]) for row in found]


def _nearest(ledger: Ledger, kind: str, name: str) -> str:
    """The ids that stand before and after a name, which a slip of the hand most likely meant."""
    if kind == "model":
        sql = f"SELECT max(id) FILTER (id < $name) AS before, min(id) FILTER (id > $name) AS after FROM {_MODELS}"
        near = [str(value) for value in ledger.rows(sql, name=name)[0].values() if value]
    else:
        near = ledger.ids.near(kind, name)
    return f"nearest: {', '.join(near)}" if near else f"there is no {kind} in this home yet"
