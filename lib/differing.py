"""Two rounds side by side, of one campaign or of two: what was set, what ran, what it read, dropped and measured.

From round records, the ingredients of keys, and the ledger. What differs is told; what is the same is left out, but for the
figures. `lib.differing_texts` has what the models wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lib import keys
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign
from lib.errors import DamagedArtifact, UserError
from lib.home import Home
from lib.ledger import Ledger
from lib.lineage_models import listed
from lib.overrides import applied
from lib.round_record import RoundRecord
from lib.store import Store

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two rounds."""

    campaign: Campaign
    record: RoundRecord

    @property
    def name(self) -> str:
        again = f".{self.record.attempt}" if self.record.attempt > 1 else ""
        return f"{self.campaign.name}:{self.record.round}{again}"

    def about(self) -> Json:
        record = self.record
        return {
            "round": self.name,
            "recipe": self.campaign.recipe_name,
            "state": record.state,
            "model": {**record.start, **record.made}.get("policy", ""),
            "began_with": record.start.get("policy", ""),
            "decision": (record.decision or {}).get("sentence"),
        }

    def settings(self) -> dict[str, Any]:
        """Dotted path → value of all that was set for the round."""
        set_for_it = applied(self.campaign, self.record.overrides)
        plan = self.campaign.problems
        given = {"seed": self.campaign.seed, "problems": {"source": plan.source, "counts": plan.counts, "fresh": plan.fresh}}
        return dict(keys.leaves({**set_for_it.recipe, **given}))


def named(home: Home, one: str, other: str) -> tuple[Side, Side]:
    """The rounds that CAMPAIGN:ROUND means; the second may be a round's number alone, of the first one's campaign.

    Raises UserError for what names no round, UnknownName for a campaign or round that is not there.
    """
    campaign = one.partition(":")[0]
    return _side(home, one), _side(home, f"{campaign}:{other}" if other.lstrip(":").isdigit() else other)


def _side(home: Home, name: str) -> Side:
    campaign, _, number = name.replace("::", ":").partition(":")
    if not number.isdigit():
        raise UserError(f"'{name}' names no round; give CAMPAIGN:ROUND, such as first:2")
    folder = CampaignFolder(home, campaign)
    return Side(folder.load(), folder.record(int(number)))


def differences(home: Home, one: Side, other: Side) -> Json:
    """All that differs but what the models wrote, ready for JSON."""
    store = Store(home.store)
    code, versions = _programs(one, other, store)
    with Ledger(home) as ledger:
        return {
            "a": one.about(),
            "b": other.about(),
            "settings": _settings(one, other),
            "code": code,
            "versions": versions,
            "data": _data(one, other, ledger),
            "funnel": _funnel(one, other, ledger),
            "dropped": _dropped(one, other, ledger),
            "metrics": _metrics(one, other),
        }


def _settings(one: Side, other: Side) -> list[Json]:
    ours, theirs = one.settings(), other.settings()
    names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    return [{"setting": name, "a": ours.get(name), "b": theirs.get(name)} for name in names]


def _programs(one: Side, other: Side, store: Store) -> tuple[list[Json], list[Json]]:
    """Modules of ours, and distributions, that a stage of both rounds ran in different versions."""
    found: dict[str, list[Json]] = {"code": [], "versions": []}
    for stage in [path for path in one.record.stages if path in other.record.stages]:
        for part, rows in found.items():
            ours, theirs = (_ingredient(part, side.record.stages[stage], store) for side in (one, other))
            names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
            rows += [{"stage": stage, "name": name, "a": ours.get(name), "b": theirs.get(name)} for name in names]
    return found["code"], found["versions"]


def _ingredient(part: str, stage: Json, store: Store) -> dict[str, str]:
    """An ingredient of a stage's keys over all of its jobs; a record that cannot be read has none."""
    found: dict[str, str] = {}
    for job in stage["jobs"]:
        with suppress(DamagedArtifact):
            found |= store.read(job["key"], job["version"]).ingredients[part]
    return found


def _data(one: Side, other: Side, ledger: Ledger) -> list[Json]:
    """For every set of problems that both read, or one of them: how many each has, and how many they share."""
    rows = []
    for name in dict.fromkeys([*_sets(one), *_sets(other)]):
        ours, theirs = (_problems(side, name, ledger) for side in (one, other))
        counted = ledger.rows(
            f"""SELECT (SELECT count(*) FROM ({ours})) AS a, (SELECT count(*) FROM ({theirs})) AS b,
            (SELECT count(*) FROM ({ours}) SEMI JOIN ({theirs}) USING (problem_id)) AS shared"""
        )[0]
        rows.append({"problems": "train" if name == "train" else name.removeprefix("evaluate/"), **counted})
    return rows


def _sets(side: Side) -> list[str]:
    stages = [path for path, stage in side.record.stages.items() if stage["verb"] == "evaluate"]
    return ["train", *stages]


def _problems(side: Side, name: str, ledger: Ledger) -> str:
    """The distinct problems of a set as SQL."""
    noted = side.record.stages
    stages = [noted[name]] if name in noted else [stage for stage in noted.values() if name == "train" and stage["verb"] == "sample"]
    digests = {ref.partition("/")[0] for stage in stages for ref in stage["read"].get("problems", [])}
    return f"SELECT DISTINCT problem_id FROM {ledger.part('problems', digests)}"


def _jobs(side: Side, verb: str) -> list[str]:
    """The artifacts that a round's own stages of a verb made, and trainings, which may have sampled and filtered for themselves."""
    return [job["digest"] for stage in side.record.stages.values() if stage["verb"] in (verb, "train") for job in stage["jobs"]]


def _funnel(one: Side, other: Side, ledger: Ledger) -> list[Json]:
    """How many completions were sampled, correct, and in examples, and how many examples were made."""
    ours, theirs = (_counts(side, ledger) for side in (one, other))
    return [{"what": what, "a": ours[what], "b": theirs[what], "difference": theirs[what] - ours[what]} for what in ours]


def _counts(side: Side, ledger: Ledger) -> dict[str, int]:
    completions, verdicts = ledger.part("completions", _jobs(side, "sample")), set(_jobs(side, "verify"))
    sources, made = ledger.part("example_sources", _jobs(side, "filter")), listed(_jobs(side, "filter"))
    judged = f"SELECT count(DISTINCT completion_id) AS n FROM judged WHERE artifact IN ({listed(verdicts)})"
    asked = {
        "sampled": f"SELECT count(DISTINCT completion_id) AS n FROM {completions}",
        "correct": f"{judged} AND outcome = 'correct'",
        "undecided": f"{judged} AND outcome = 'undecided'",
        "kept": f"SELECT count(DISTINCT completion_id) AS n FROM {sources} WHERE part <> 'prompt'",
        "examples": f"SELECT count(*) AS n FROM examples WHERE artifact IN ({made})",
    }
    return {what: int(ledger.rows(sql)[0]["n"]) for what, sql in asked.items()}


def _dropped(one: Side, other: Side, ledger: Ledger) -> list[Json]:
    found: dict[tuple[str, str], list[int]] = {}
    for place, side in enumerate((one, other)):
        rows = ledger.rows(f"SELECT filter, reason, count(*) AS n FROM {ledger.part('dropped', _jobs(side, 'filter'))} GROUP BY ALL")
        for row in rows:
            found.setdefault((row["filter"], row["reason"]), [0, 0])[place] = int(row["n"])
    return [{"filter": f, "reason": r, "a": a, "b": b, "difference": b - a} for (f, r), (a, b) in sorted(found.items())]


def _metrics(one: Side, other: Side) -> list[Json]:
    """Every figure over all problems that either round has."""
    ours, theirs = (_by_name(side.record.metrics) for side in (one, other))
    rows = []
    for name in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(name), theirs.get(name)
        rows.append({"split": name[0], "metric": name[1], "a": a, "b": b, "difference": None if a is None or b is None else b - a})
    return rows


def _by_name(rows: Iterable[Json]) -> dict[tuple[str, str], float]:
    """The first evaluator's, where two measure one metric."""
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        if row["slice"] == "all" and row["value"] is not None:
            found.setdefault((row["split"], row["metric"]), row["value"])
    return found
