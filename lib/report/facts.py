"""Everything that a campaign's report shows, gathered from its records and from the ledger; no clock is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib.artifacts import Artifacts
from lib.budget import Spending
from lib.campaign import CampaignFolder, models_by_reference
from lib.comparison import METRICS, Standing, champion_of, difference, standings
from lib.errors import UserError
from lib.home import Home
from lib.ledger import Ledger
from lib.report import costs, curves, samples, story
from lib.report.controllers import controllers
from lib.report.funnel import dropped, funnel
from lib.report.tree import anchor, tree
from lib.report.words import count, listed, spoken
from lib.roles import POLICY
from lib.round_record import RoundRecord

Json = dict[str, Any]


def gather(home: Home, name: str) -> Json:
    """The facts of a campaign's page. Raises UnknownName for one that is not there, UserError for one without a finished round."""
    folder = CampaignFolder(home, name)
    campaign = folder.load()
    records = folder.finished()
    if not records:
        raise UserError(f"campaign '{name}' has no finished round to report on; run one: roundhouse improve {name}")
    with Ledger(home) as ledger:
        counted = funnel(ledger, name, records)
        reasons = dropped(ledger, name, records)
        shown = samples.samples(ledger, name, records, campaign.seed)
    trained = {(row["round"], row["attempt"]): row for row in counted}
    roles = dict.fromkeys([POLICY, *sorted({role for record in records for role in record.made})])
    totals = costs.totals(Spending(folder.path), records)
    spent = costs.rows(records)
    closing = folder.test()
    done = max(record.round for record in records)
    planned = folder.goal if folder.goal >= done else 0  # a schedule goes on beyond any plan
    champion = _champion(records)
    digest = models_by_reference(campaign, records)["champion"].get(POLICY, "")
    gains = _gains(home, name)
    return {
        "campaign": name,
        "recipe": campaign.recipe_name,
        "seed": campaign.seed,
        "planned": planned,
        "lead": gains[0] if gains else "",
        "summary": [
            *gains[1:],
            story.progress(records, champion, digest, planned, bool(closing)),
            story.alarms(records),
            story.cost(totals),
        ],
        "attempts": [{"key": (r.round, r.attempt), "label": _label(r)} for r in records if r.round],
        "metrics": curves.metrics(records, closing),
        "others": curves.others(records),
        "alarms": curves.alarms(records),
        "funnel": counted,
        "dropped": reasons,
        "agreement": story.agreement(records),
        "controllers": controllers(records, Artifacts(home.store)),
        "costs": spent,
        "cost_chart": costs.chart(spent),
        "cost_verbs": costs.by_verb(spent),
        "trees": [tree(campaign, records, role, trained) for role in roles if any(role in r.made for r in records if r.round)],
        "rounds": [_round(record) for record in records],
        "samples": shown,
        "sample_words": _sample_words(shown, counted, campaign.seed),
    }


def _champion(records: Sequence[RoundRecord]) -> int:
    return next((record.round for record in reversed(records) if POLICY in record.promoted), 0)


def _gains(home: Home, name: str) -> list[str]:
    """What the champion has over the base model: in the closing figures where there are some, else on validation."""
    for split in ("test", "validation"):
        try:
            found = standings(home, name, split)
        except UserError:
            continue
        best = _last_accepted(found)
        metrics = [metric for metric in METRICS if metric in best.items and metric in found[0].items]
        if metrics:
            return [story.gain(split, best, found[0], difference(best, found[0], metric, name)) for metric in metrics]
    return []


def _last_accepted(found: list[Standing]) -> Standing:
    return champion_of(found) if any(standing.state == "accepted" for standing in found) else found[0]


def _label(record: RoundRecord) -> str:
    return f"{record.round}" if record.attempt == 1 else f"{record.round}, attempt {record.attempt}"


def _round(record: RoundRecord) -> Json:
    """A round's own paragraph."""
    figures = [row for row in record.metrics if (row["split"], row["slice"]) == ("validation", "all")]
    named = {row["metric"]: row for row in reversed(figures) if row["metric"] in METRICS}
    return {
        "anchor": anchor(record.round, record.attempt),
        "title": "Base model" if not record.round else f"Round {_label(record)}",
        "state": record.state,
        "sentences": [
            str((record.decision or {}).get("sentence", "")),
            *(f"{r}: {d['sentence']}" for r, d in sorted(record.decisions.items())),
        ],
        "figures": [(spoken(metric), named[metric]["value"], named[metric]["stderr"]) for metric in METRICS if metric in named],
        "made": sorted(record.made.items()) if record.made else sorted(record.start.items()),
        "overrides": sorted(record.overrides.items()),
        "alarms": [row for row in record.alarms if row["level"] in ("watch", "alarm")],
        "stages": [
            {
                "path": path,
                "made": sorted({job["digest"] for job in stage["jobs"]}),
                "reused": sum(bool(job["reused"]) for job in stage["jobs"]),
                "jobs": len(stage["jobs"]),
            }
            for path, stage in record.stages.items()
        ],
    }


def _sample_words(shown: Sequence[Json], counted: Sequence[Json], seed: int) -> str:
    """Which completions are shown, and how they were chosen."""
    whole = sum(row["sampled"] for row in counted)
    outcomes = listed([outcome for outcome in samples.OUTCOMES if any(row["outcome"] == outcome for row in shown)])
    return (
        f"{count(len(shown), 'completion')} of {whole:,} sampled in training, equally many of each outcome ({outcomes}) in each round "
        f"while there are any, drawn by the campaign's seed {seed}."
    )
