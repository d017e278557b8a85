"""A dry run: for every stage of a round, whether it would be reused or run, and which ingredient of its key changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from flows.desk import ground_of
from flows.phases import run_phases
from lib import keys
from lib.campaign import CampaignFolder
from lib.errors import DamagedArtifact
from lib.job import Job
from lib.recipe import Recipe
from lib.records import TABLES
from lib.round_record import RoundRecord
from lib.store import Publication
from lib.strategy import UserCode
from tasks.evaluate import evaluate
from tasks.problems import held_out, training
from tasks.workshop import Done, Workshop

UNKNOWN = "?"
"""Stands for the digest of what has not been made."""


class Forecast(Workshop):
    """A workshop that does no work and says of every job what would become of it."""

    def __init__(self, folder: CampaignFolder, record: RoundRecord, forced: str) -> None:
        super().__init__(folder.home, code_root=folder.code, forced=frozenset({(record.round, forced)}))
        self.rows: list[dict[str, Any]] = []
        self._makers: dict[str, str] = {}
        self._before = {job["label"]: job for stage in record.stages.values() for job in stage["jobs"]}

    def foresee(self, job: Job) -> Done:
        waits_for = [self._makers[r] for refs in job.inputs.values() for r in refs if r in self._makers]
        waits_for += [self._makers[digest] for digest in job.models.values() if digest in self._makers]
        if waits_for:
            return self._say(job, f"depends on what {waits_for[-1]} will produce", None)
        key, ingredients = self.key_of(job)
        found = self.store.lookup(key)
        if found is not None and not self.is_forced(job):
            return self._say(job, "reused", found)
        return self._say(job, "runs: " + ("asked for" if self.is_forced(job) else self._why(job, ingredients)), None)

    def tables_made(self, digest: str) -> list[str]:
        return list(TABLES) if digest.startswith(UNKNOWN) else super().tables_made(digest)

    def shards_of(self, digest: str) -> list[str]:
        return [digest] if digest.startswith(UNKNOWN) else super().shards_of(digest)

    def outcomes(self, digests: Iterable[str]) -> Counter[str]:
        return Counter()

    def _say(self, job: Job, fate: str, found: Publication | None) -> Done:
        self.rows.append(
            {
                "stage": " ".join((job.label.stage_path, job.label.part)).strip(),
                "shard": f"{job.label.shard + 1}/{job.label.shards}",
                "fate": fate,
            }
        )
        made = found or Publication("", 0, f"{UNKNOWN}{len(self.rows)}", {}, {}, "")
        if found is None:
            self._makers[made.digest] = job.label.stage_path
        return Done(job.label, made, reused=found is not None)

    def _why(self, job: Job, ingredients: dict[str, Any]) -> str:
        before = self._before.get(str(job.label))
        if before is None:
            return "it has not run in this round"
        try:
            old = self.store.read(before["key"], before["version"]).ingredients
        except DamagedArtifact:
            return "its artifact is missing or damaged"
        return "; ".join(keys.changed(old, ingredients)) or "its artifact is missing or damaged"


def forecast(folder: CampaignFolder, number: int, forced: str) -> list[dict[str, Any]]:
    """A row (stage, shard, fate) for every job of a round. Runs nothing, and writes nothing but the quarantine of damage."""
    campaign = folder.load()
    record = folder.record(number)
    UserCode.allow(folder.code)
    shop = Forecast(folder, record, forced)
    recipe = Recipe.model_validate(campaign.recipe)
    held = held_out(campaign.problems, folder.name, shop)
    drawn = training(campaign.problems, number, folder.name, shop)
    shop.rows.clear()
    ground = ground_of(folder, campaign, drawn, held, number, record.attempt)
    again = RoundRecord(folder.name, number, record.attempt, start=dict(ground.models["previous"]))
    run_phases(recipe, ground, again, shop, lambda _: None)
    for split in ("validation",) if recipe.gate is None else ("validation", "gate"):
        evaluate(recipe, {**again.start, **again.made}["policy"], split, held[split], ground, shop)
    return shop.rows
