"""A dry run: for every job of a round, whether it would be reused or run, and which ingredients of its key changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from flows.desk import ground_of
from flows.phases import run_phases
from lib import grown, keys, overrides
from lib.campaign import CampaignFolder
from lib.errors import DamagedArtifact
from lib.explain import Before, makers_of, span
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

ABSENT = "its artifact is missing or damaged"
COLLECTED = "its weights were collected"


class Forecast(Workshop):
    """A workshop that does no work and says of every job what would become of it."""

    def __init__(self, folder: CampaignFolder, record: RoundRecord, forced: Iterable[str]) -> None:
        super().__init__(folder.home, code_root=folder.code, forced=frozenset((record.round, path) for path in forced))
        self.rows: list[dict[str, Any]] = []
        self._of = ""  # whose evaluation is foreseen, where it is not that of the round's own model
        self._unmade: dict[str, str] = {}
        self._undecided: dict[str, str] = {}  # phase → the controller whose decision is not known
        self._makers = makers_of(folder, record.round)
        self._before = Before(record)

    def turn_to(self, champion: str, finished: Iterable[RoundRecord]) -> None:
        """Say of what follows that it measures the champion; it was last measured when the round that made it was."""
        self._of = "of the champion"
        measured = [record for record in finished if {**record.start, **record.made}.get("policy") == champion]
        self._before = Before(measured[-1] if measured else None)

    def foresee(self, job: Job) -> Done:
        earlier = self._before.pop(job.label.stage_path, job.label.part, job.label.shard)
        needed = {*(ref for refs in job.inputs.values() for ref in refs), *job.models.values()}
        waits_for = [stage for digest, stage in self._unmade.items() if digest in needed]  # the last of them is told
        if job.label.phase in self._undecided:
            waits_for.append(self._undecided[job.label.phase])
        if waits_for:
            return self._say(job, "depends", [f"on what {waits_for[-1]} will produce"], None)
        try:
            key, ingredients = self.key_of(job)
        except DamagedArtifact as damage:
            return self._say(job, "cannot run", [str(damage)], None)
        found = self._whole(key)
        if self.is_forced(job):
            return self._say(job, "runs", ["asked for"], None)
        if found is not None:
            return self._say(job, "reused", [], found)
        there = grown.counted(self._whole, self.store, ingredients, self.device)
        return self._say(job, "runs", self._why(job, earlier, ingredients), None, there)

    def tables_made(self, digest: str) -> list[str]:
        return list(TABLES) if digest.startswith(UNKNOWN) else super().tables_made(digest)

    def shards_of(self, digest: str) -> list[str]:
        return [digest] if digest.startswith(UNKNOWN) else super().shards_of(digest)

    def decided(self, digest: str) -> dict[str, Any]:
        return {} if digest.startswith(UNKNOWN) else super().decided(digest)

    def outcomes(self, digests: Iterable[str]) -> Counter[str]:
        return Counter()

    def _whole(self, key: str) -> Publication | None:
        """As the store's `lookup`, with damage left where it lies: a dry run moves nothing."""
        for version in reversed(self.store.versions(key)):
            try:
                found = self.store.read(key, version)
                self.store.verify(found.digest)
            except DamagedArtifact:
                continue
            return found
        return None

    def _say(self, job: Job, fate: str, because: list[str], found: Publication | None, there: tuple[int, int] = (0, 0)) -> Done:
        self.rows.append(
            {
                "stage": job.label.stage_path,
                "part": f"{job.label.part} {self._of}".strip(),
                "shard": f"{job.label.shard + 1}/{job.label.shards}",
                "fate": f"{fate}: {keys.in_words(because)}" if fate in ("runs", "cannot run") else f"{fate} {''.join(because)}".strip(),
                "because": because,
                "kept": there[0],
                "owed": there[1],
            }
        )
        made = found or Publication("", 0, f"{UNKNOWN}{len(self.rows)}", {}, {}, "")
        if found is None:
            self._unmade[made.digest] = job.label.stage_path
            if job.kind == "control":
                self._undecided[job.label.phase] = job.label.stage_path
        else:
            self._makers.setdefault(made.digest, job.label.stage_path)
        return Done(job.label, made, reused=found is not None)

    def _why(self, job: Job, earlier: Mapping[str, Any] | None, ingredients: dict[str, Any]) -> list[str]:
        if earlier is None:
            return ["it has not run before"]
        try:
            old = self.store.read(earlier["key"], earlier["version"]).ingredients
        except DamagedArtifact:
            return [ABSENT]
        contents = {self.store.content(ref): self._makers[ref] for refs in job.inputs.values() for ref in refs if ref in self._makers}
        return keys.changed(old, ingredients, contents) or [COLLECTED if self.store.gone(earlier["digest"]) else ABSENT]


def forecast(
    folder: CampaignFolder, number: int, forced: Iterable[str] = (), changes: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """A row (stage, part, shard, fate, because, kept, owed) for every job of a round that is run again.

    Runs nothing and writes nothing. Of the completions that a sample job owes, `kept` need not be drawn again.
    `forced` are the paths of the stages that pass over their cache, `changes` settings for this round besides those it has.
    """
    record = folder.record(number)
    UserCode.allow(folder.code)
    campaign = folder.load()
    settings = {**overrides.recorded(folder, number), **(changes or {})}
    campaign = overrides.applied(campaign, settings)
    shop = Forecast(folder, record, forced)
    recipe = Recipe.model_validate(campaign.recipe)
    held = held_out(campaign.problems, folder.name, shop)
    drawn = training(campaign.problems, number, folder.name, shop)
    shop.rows.clear()
    ground = ground_of(folder, campaign, drawn, held, number, record.attempt)
    again = RoundRecord(folder.name, number, record.attempt, start=dict(ground.models["previous"]))
    run_phases(recipe, ground, again, shop, lambda _: None)
    models = again.judged(recipe.evaluators)
    evaluate(recipe, models, "validation", held["validation"], ground, shop)
    if recipe.gate is not None:
        evaluate(recipe, models, "gate", held["gate"], ground, shop)
        champions = {role: model for role, model in ground.models["champion"].items() if role in models}
        shop.turn_to(champions["policy"], folder.finished())
        evaluate(recipe, champions, "gate", held["gate"], ground, shop)
    return shop.rows


def grouped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows for people: shards of one stage with the same fate as one row, `1-40/40`."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((f"{row['stage']} {row['part']}".strip(), row["fate"]), []).append(row)
    return [
        {"stage": stage, "shard": span([row["shard"] for row in same]), "fate": fate + _kept(same)} for (stage, fate), same in found.items()
    ]


def _kept(rows: list[dict[str, Any]]) -> str:
    kept, owed = (sum(row[name] for row in rows) for name in ("kept", "owed"))
    return f"; {kept} of {owed} completions are there already" if kept else ""
