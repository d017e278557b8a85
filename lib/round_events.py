"""What lineage says of a campaign's records: the very events that a campaign, a finished round and its figures amount to."""

from __future__ import annotations

from typing import Any

from lib import seeds, tables
from lib.campaign_settings import Campaign
from lib.events import CampaignEvent, DatasetRef, EvaluateEvent, Measure, ModelRef, RoundEvent
from lib.records import TABLES
from lib.round_record import RoundRecord
from lib.store import Store

UNTOLD = {"micro_batch", "max_rss_bytes", "cuda_max_bytes", "cpu_seconds", "seconds"}
"""Stats that differ from run to run: left out of events, so that a replay says the same words."""


def campaign_event(campaign: Campaign) -> CampaignEvent:
    """What lineage says of a campaign that begins."""
    return CampaignEvent(
        campaign=campaign.name,
        recipe=campaign.recipe_name,
        recipe_digest=seeds.digest(campaign.recipe),
        seed=campaign.seed,
        models=tuple(_model(role, digest) for role, digest in sorted(campaign.base.items())),
        settings={"rounds": str(campaign.rounds), "problems": seeds.canonical(campaign.problems.counts)},
    )


def round_event(record: RoundRecord, campaign: Campaign, store: Store) -> RoundEvent:
    """What lineage says of a finished round."""
    return RoundEvent(
        campaign=record.campaign,
        round=record.round,
        attempt=record.attempt,
        datasets=tuple(_datasets(record, store)),
        models_in=tuple(_model(role, digest) for role, digest in sorted(record.start.items())),
        models_out=tuple(_model(role, digest) for role, digest in sorted(record.made.items())),
        params={
            "recipe": campaign.recipe_name,
            "seed": str(campaign.seed),
            **{f"set.{path}": value for path, value in record.overrides.items()},
        },
        metrics=_stage_metrics(record, store),
        accepted=record.state == "accepted",
        reason=str((record.decision or {}).get("sentence", "")),
        flow_run=record.flow_run,
        supersedes=record.supersedes or None,
        revision=record.revision,
    )


def evaluate_events(rows: list[dict[str, Any]], record: RoundRecord) -> list[EvaluateEvent]:
    """What lineage says of a round's metric rows, one event for each model and split."""
    place: dict[str, Any] = {"campaign": record.campaign, "round": record.round, "attempt": record.attempt, "revision": record.revision}
    found = []
    for model, split in dict.fromkeys((row["model_id"], row["split"]) for row in rows):
        measures = tuple(
            Measure(row["metric"], row["slice"], row["value"], row["stderr"], row["n"])
            for row in rows
            if (row["model_id"], row["split"]) == (model, split)
        )
        found.append(EvaluateEvent(**place, model=_model("policy", model), split=split, measures=measures))
    return found


def _model(role: str, digest: str) -> ModelRef:
    return ModelRef(role, digest, f"store/artifacts/{digest[:2]}/{digest}")


def _datasets(record: RoundRecord, store: Store) -> list[DatasetRef]:
    """Every table artifact that the round's own stages read, made or learned from, once for each stage."""
    found: dict[tuple[str, str, str], DatasetRef] = {}
    for path, stage in record.stages.items():
        if stage["verb"] == "evaluate":
            continue
        problems = stage["read"].get("problems", []) if stage["verb"] == "sample" else []
        given = [(table, ref) for table, refs in {**stage["made"], "problems": problems}.items() if table in TABLES for ref in refs]
        given += [(_kind_of(ref, store), ref) for refs in stage["learned"].values() for ref in refs]
        for table, reference in given:
            found[table, reference, path] = DatasetRef(
                name=table,
                context=path,
                digest=store.content(reference),
                uri=f"store/artifacts/{reference[:2]}/{reference}",
                rows=tables.rows_in(store.folder(reference)).get(table, 0),
                schema=TABLES[table].id,
            )
    return list(found.values())


def _kind_of(reference: str, store: Store) -> str:
    """The examples table that an artifact holds."""
    return next(name.removesuffix(".parquet") for name in store.files(reference) if name.startswith("examples_"))


def _stage_metrics(record: RoundRecord, store: Store) -> dict[str, float]:
    """`stage/name` → figure, summed over a stage's shards, from what was measured while they were made; and its shares."""
    found: dict[str, float] = {}
    for path, stage in record.stages.items():
        if stage["verb"] == "evaluate":
            continue
        for job in stage["jobs"]:
            for name, value in store.stats(job["key"], job["version"]).items():
                if isinstance(value, bool) or not isinstance(value, int | float) or name in UNTOLD:
                    continue
                found[f"{path}/{name}"] = found.get(f"{path}/{name}", 0.0) + float(value)
        found |= {f"{path}/{name}": value for name, value in stage.get("figures", {}).items()}
    return found
