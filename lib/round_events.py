"""What lineage says of a campaign's records: the very events that a campaign, a finished round and its figures amount to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lib import seeds, tables
from lib.campaign_settings import Campaign
from lib.events import CampaignEvent, DatasetRef, EvaluateEvent, Measure, ModelRef, RoundEvent
from lib.records import TABLES
from lib.round_record import RoundRecord
from lib.store import Store

MOST_KINDS = 50
"""Reasons of one job that are told apart: a filter of the user's own may give each row another."""

UNTOLD = {"micro_batch", "max_rss_bytes", "cuda_max_bytes", "cpu_seconds", "seconds", "cost"}
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
        otherwise={
            role: str(decision["sentence"])
            for role, decision in sorted(record.decisions.items())
            if decision["accepted"] != (record.state == "accepted")
        },
    )


def evaluate_events(rows: list[dict[str, Any]], record: RoundRecord, store: Store) -> list[EvaluateEvent]:
    """What lineage says of a round's metric rows, one event for each model and split."""
    place: dict[str, Any] = {"campaign": record.campaign, "round": record.round, "attempt": record.attempt, "revision": record.revision}
    roles = {model: role for role, model in reversed({**record.start, **record.made}.items())}
    found = []
    for model, split in dict.fromkeys((row["model_id"], row["split"]) for row in rows):
        measures = tuple(
            Measure(row["metric"], row["slice"], row["value"], row["stderr"], row["n"])
            for row in rows
            if (row["model_id"], row["split"]) == (model, split)
        )
        datasets = tuple(_measured_on(f"evaluate/{split}", record, store))
        ref = _model(roles.get(model, "policy"), model)
        found.append(EvaluateEvent(**place, model=ref, split=split, measures=measures, datasets=datasets))
    return found


def _model(role: str, digest: str) -> ModelRef:
    return ModelRef(role, digest, f"store/artifacts/{digest[:2]}/{digest}")


def _datasets(record: RoundRecord, store: Store) -> list[DatasetRef]:
    """Every table artifact that the round's own stages read, made or learned from, once for each stage."""
    found: dict[tuple[str, str, str], DatasetRef] = {}
    for path, stage in record.stages.items():
        if stage["verb"] == "evaluate":
            continue
        problems = stage["read"].get("problems", []) if stage["verb"] == "sample" else stage["made"].get("problems", [])
        given = [(table, ref) for table, refs in {**stage["made"], "problems": problems}.items() if table in TABLES for ref in refs]
        given += [(_kind_of(ref, store), ref) for refs in stage["learned"].values() for ref in refs]
        for table, reference in given:
            found[table, reference, path] = _dataset(table, reference, path, store)
    return list(found.values())


def _measured_on(path: str, record: RoundRecord, store: Store) -> Iterator[DatasetRef]:
    """A split's problems, then every table that measuring a model on it made; nothing of a figure that no stage measured."""
    if (stage := record.stages.get(path)) is None:
        return
    for reference in stage["read"].get("problems", []):
        yield _dataset("problems", reference, path, store)
    for digest in dict.fromkeys(job["digest"] for job in stage["jobs"]):
        for table in _tables_made(store, digest):
            yield _dataset(table, digest, path, store)


def _dataset(table: str, reference: str, path: str, store: Store) -> DatasetRef:
    return DatasetRef(
        name=table,
        context=path,
        digest=store.content(reference),
        uri=f"store/artifacts/{reference[:2]}/{reference}",
        rows=tables.rows_in(store.folder(reference)).get(table, 0),
        schema=TABLES[table].id,
    )


def _kind_of(reference: str, store: Store) -> str:
    """The examples table that an artifact holds."""
    return next(table for table in _tables_made(store, reference) if table.startswith("examples_"))


def _stage_metrics(record: RoundRecord, store: Store) -> dict[str, float]:
    """`stage/name` → figure, summed over a stage's shards, from what was measured while they were made; and its shares.

    Counts by kind (verdicts by outcome, completions dropped by reason) are `stage/name/kind`.
    """
    found: dict[str, float] = {}
    for path, stage in record.stages.items():
        if stage["verb"] == "evaluate":
            continue
        for job in stage["jobs"]:
            for name, value in _counted(store.stats(job["key"], job["version"])):
                found[f"{path}/{name}"] = found.get(f"{path}/{name}", 0.0) + value
        found |= {f"{path}/{name}": value for name, value in stage.get("figures", {}).items()}
    return found


def _counted(stats: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The figures among a job's stats; of counts by kind the largest, and the sum of the others."""
    for name, value in stats.items():
        if name in UNTOLD or isinstance(value, bool):
            continue
        if isinstance(value, int | float):
            yield name, float(value)
        elif isinstance(value, dict):
            kinds = sorted(((k, n) for k, n in value.items() if isinstance(n, int | float)), key=lambda kind: (-kind[1], kind[0]))
            yield from ((f"{name}/{kind}", float(n)) for kind, n in kinds[:MOST_KINDS])
            if rest := kinds[MOST_KINDS:]:
                yield f"{name}/others", float(sum(n for _, n in rest))


def _tables_made(store: Store, digest: str) -> list[str]:
    """The tables that an artifact holds."""
    return [name.removesuffix(".parquet") for name in store.files(digest) if name.endswith(".parquet")]
