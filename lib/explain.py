"""The past of a round, job by job: reused or run, why, when and at what cost. From records and artifacts alone, offline.

A job that ran is held against the one in its place before: that of the record which a rerun superseded, else of the
attempt before, else of the round before. What differs between their keys' ingredients is why it ran.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lib import keys
from lib.campaign import CampaignFolder
from lib.errors import DamagedArtifact
from lib.round_record import RoundRecord
from lib.store import Publication, Store

Json = dict[str, Any]

_LABEL = re.compile(r"(?P<campaign>\S+) r(?P<round>\d+)(?:\.(?P<attempt>\d+))? (?P<place>.+)")
_PLACE = re.compile(r"(?: (?P<part>sample|verify|evaluate|subset))?(?: (?P<shard>\d+)/(?P<shards>\d+))?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands in its stage."""

    path: str
    part: str
    shard: int
    shards: int

    @classmethod
    def of(cls, path: str, label: str) -> Place:
        """From a stage path and the label of one of its jobs, as `lib.job.Label` writes it."""
        found = _LABEL.fullmatch(label)
        rest = _PLACE.fullmatch(found["place"].removeprefix(path)) if found else None
        if rest is None:
            return cls(path, "", 0, 1)
        return cls(path, rest["part"] or "", int(rest["shard"] or 1) - 1, int(rest["shards"] or 1))


def maker(label: str, campaign: str) -> str:
    """Who did the job with a label, for a reader of this campaign: `round 1`, `round 1 of another`."""
    found = _LABEL.fullmatch(label)
    if found is None:
        return ""
    tried = f", attempt {found['attempt']}" if found["attempt"] else ""
    return f"round {found['round']}{tried}" + (f" of {found['campaign']}" if found["campaign"] != campaign else "")


class Before:
    """The jobs of an earlier record by place. Several evaluators have jobs of one name, so each is taken once, in order."""

    def __init__(self, record: RoundRecord | None) -> None:
        self._jobs: dict[tuple[str, str, int], list[Json]] = {}
        for path, place, job in jobs(record) if record is not None else ():
            self._jobs.setdefault((path, place.part, place.shard), []).append(job)

    def pop(self, path: str, part: str, shard: int) -> Json | None:
        """The next job (key, version, digest) at a place; None where there is no more."""
        waiting = self._jobs.get((path, part, shard))
        return waiting.pop(0) if waiting else None


def jobs(record: RoundRecord) -> Iterator[tuple[str, Place, Json]]:
    """Every job on a round's record, in order, with its stage's path."""
    for path, stage in record.stages.items():
        for job in stage["jobs"]:
            yield path, Place.of(path, job["label"]), job


def makers_of(folder: CampaignFolder, number: int) -> dict[str, str]:
    """Digest of an artifact → the stage that made it, for all that a campaign has on record; of round `number` by path alone."""
    found: dict[str, str] = {}
    base = folder.base()
    for record in [*([base] if base is not None else []), *folder.rounds()]:
        for path, _, job in jobs(record):
            found.setdefault(job["digest"], path if record.round == number else f"{path} of round {record.round}")
    return found


class Explanation:
    """Why the jobs of one record were done, or were not."""

    def __init__(self, folder: CampaignFolder, record: RoundRecord) -> None:
        self.record = record
        self._store = Store(folder.home.store)
        self._earlier, self.against = _earlier(folder, record)
        self._makers = makers_of(folder, record.round)

    def rows(self) -> list[Json]:
        """A row for every job of the round, in order."""
        before = Before(self._earlier)
        return [self._row(path, place, job, before.pop(path, place.part, place.shard)) for path, place, job in jobs(self.record)]

    def _row(self, path: str, place: Place, job: Json, earlier: Json | None) -> Json:
        stats = self._store.stats(job["key"], job["version"])
        made_by = str(stats.get("label", ""))
        try:
            found = self._store.read(job["key"], job["version"])
        except DamagedArtifact as damage:
            found, because = None, [str(damage)]
        stood = earlier is not None and (earlier["key"], earlier["version"]) == (job["key"], job["version"])
        ran = not stood and (not job["reused"] or self._is_of_this_round(made_by))
        if found is not None:
            because = self._why(found, earlier) if ran else []
        return {
            "stage": path,
            "part": place.part,
            "shard": f"{place.shard + 1}/{place.shards}",
            "fate": "ran" if ran else "reused",
            "because": because,
            "made_by": made_by,
            "at": stats.get("at"),
            "seconds": stats.get("seconds"),
            "device_seconds": stats.get("cost", {}).get("device_seconds"),
            "micro_batch": stats.get("micro_batch"),
            "kept": stats.get("kept", 0) if "kept_from" in stats else None,
            "drawn": stats.get("drawn"),
            "key": job["key"],
            "version": job["version"],
            "digest": job["digest"],
        }

    def _is_of_this_round(self, made_by: str) -> bool:
        """Whether a job that is on record as reused was done by this very round, before it was stopped and went on."""
        found = _LABEL.fullmatch(made_by)
        here = (self.record.campaign, self.record.round, self.record.attempt)
        return found is not None and (found["campaign"], int(found["round"]), int(found["attempt"] or 1)) == here

    def _why(self, found: Publication, earlier: Json | None) -> list[str]:
        if earlier is None:
            return ["it had not run before"]
        if earlier["key"] == found.key:
            return ["its artifact had been lost or damaged" if self._store.is_lost(found.key) else "asked for"]
        try:
            old = self._store.read(earlier["key"], earlier["version"]).ingredients
        except DamagedArtifact:
            return [f"its key is another than in {self.against}, of which no record is left"]
        return keys.changed(old, found.ingredients, self._makers)


def _earlier(folder: CampaignFolder, record: RoundRecord) -> tuple[RoundRecord | None, str]:
    """The record that a round is held against, and what it is called."""
    if (old := folder.superseded(record)) is not None:
        return old, "the record that it superseded"
    before = [other for other in folder.rounds() if (other.round, other.attempt) < (record.round, record.attempt)]
    if not before or not before[-1].round:
        return None, "nothing"
    last = before[-1]
    return last, f"attempt {last.attempt}" if last.round == record.round else f"round {last.round}"


def span(shards: list[str]) -> str:
    """`1/4`, `2/4`, `4/4` as `1-2,4/4`."""
    numbers = sorted({int(shard.partition("/")[0]) for shard in shards})
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs) + "/" + shards[0].partition("/")[2]
