"""Everything that a campaign reaches: its records, what they say was published, and the artifacts behind that, to the first.

Begins with campaign.json and every record of a round (superseded ones and the one being rerun too), and follows the inputs
and models that the records of publications name. Nothing is believed or moved here: what cannot be read is told, and its
trail ends there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lib import models, seeds
from lib.artifacts import parsed
from lib.audit.report import Report
from lib.campaign import CampaignFolder
from lib.errors import DamagedArtifact, UserError
from lib.lineage_models import MAKERS
from lib.round_record import RoundRecord, read_round
from lib.store import Publication, Store
from lib.tombstone import Maker

Job = tuple[str, int]
"""Key and version of a publication."""


@dataclass(frozen=True, slots=True)
class _Job:
    key: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class _Stage:
    verb: str
    jobs: list[_Job]
    made: dict[str, list[str]] = field(default_factory=dict)
    read: dict[str, list[str]] = field(default_factory=dict)
    learned: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Figure:
    model_id: str
    split: str
    evaluator: str
    metric: str
    slice: str
    value: float
    n: int
    stderr: float | None


_STAGES, _FIGURES = TypeAdapter(dict[str, _Stage]), TypeAdapter(list[_Figure])
"""What the checks read of a round's stages and metrics."""


@dataclass(frozen=True, slots=True)
class Told:
    """A record of a round, and where it stands."""

    path: Path
    record: RoundRecord

    @property
    def is_standing(self) -> bool:
        """Whether it counts: neither superseded, nor being rerun, nor how the base model was made."""
        return self.path.name == "round.json" and self.path.parent.name != "base"

    @property
    def title(self) -> str:
        if self.path.parent.name == "base":
            return "base"
        again = f" attempt {self.record.attempt}" if self.record.attempt > 1 else ""
        kind = self.path.name.removeprefix("round").removesuffix(".json").lstrip(".")
        return f"round {self.record.round}{again}{f' ({kind})' if kind else ''}"

    @property
    def remedy(self) -> str:
        return f"restore {self.path.parent.name}/{self.path.name} from a copy"

    def where(self, stage: str) -> str:
        return f"{self.title} {stage}"

    def artifacts(self, stage: str) -> set[str]:
        """Every artifact that a stage is said to have made or read."""
        noted = self.record.stages[stage]
        listed = [ref for name in ("read", "made", "learned") for refs in noted.get(name, {}).values() for ref in refs]
        return {str(ref).partition("/")[0] for ref in [*listed, *(job["digest"] for job in noted["jobs"])]}


@dataclass(frozen=True, slots=True)
class Done:
    """A job on a record."""

    told: Told
    stage: str
    job: Job
    digest: str

    @property
    def where(self) -> str:
        return self.told.where(self.stage)

    @property
    def remedy(self) -> str:
        record = self.told.record
        if not record.round or self.stage.startswith("evaluate/"):
            return f"make it again with: roundhouse improve {record.campaign}, or restore it from a copy"
        return Maker(record.campaign, record.round, self.stage).command


class Reach:
    """What one campaign reaches."""

    def __init__(self, folder: CampaignFolder, report: Report) -> None:
        self.folder = folder
        self.campaign = folder.load()
        self.store = Store(folder.home.store)
        self.records = list(_records(folder, report))
        self.jobs = [
            Done(told, stage, (str(job["key"]), int(job["version"])), str(job["digest"]))
            for told in self.records
            for stage, noted in told.record.stages.items()
            for job in noted["jobs"]
        ]
        self.publications: dict[Job, Publication] = {}
        self.faults: dict[Job, str] = {}
        """Publications whose record cannot be believed → where they stand."""
        self.artifacts: dict[str, str] = {}
        """Digest → where it stands first."""
        self.remedies: dict[str, str] = {}
        self.lost: set[str] = set()
        """Artifacts of which it is known already that they were lost."""
        self.damaged: set[str] = set()
        """Artifacts that the check of digests found not to be what they were; nothing more is read of them."""
        self._follow()

    @cached_property
    def published(self) -> dict[str, list[tuple[Job, str]]]:
        """Digest of an artifact → the jobs of this home that published it, and their verb; unverified."""
        found: dict[str, list[tuple[Job, str]]] = {}
        for key in self.store.published_keys():
            for version in self.store.versions(key):
                record = parsed(self.record_path((key, version))) or {}
                output, made = record.get("output"), record.get("ingredients")
                if isinstance(output, dict) and isinstance(made, dict):
                    found.setdefault(str(output.get("digest")), []).append(((key, version), str(made.get("kind"))))
        return found

    @cached_property
    def _holders(self) -> dict[str, str]:
        """Content of a folder inside an artifact, as the shards of problems are → the artifact."""
        found: dict[str, str] = {}
        for digest in self._made_by("problems", "subset", "control", "filter"):
            try:
                found |= {self.store.content(ref): digest for ref in self.store.folders(digest)}
            except DamagedArtifact:
                continue
        return found

    @cached_property
    def _weights(self) -> dict[str, str]:
        """Digest of a model's weights, as keys have it → the model."""
        found = {}
        for digest in self._made_by(*MAKERS):
            try:
                files = self.store.files(digest)
            except DamagedArtifact:
                continue
            found[seeds.digest({name: sha for name, sha in files.items() if models.WEIGHTS.fullmatch(name)})] = digest
        return found

    def record_path(self, job: Job) -> Path:
        return self.store.root / "by-key" / job[0] / f"{job[1]}.json"

    def holder(self, content: str) -> str | None:
        """The artifact that has a content: its own digest, or that of one of its folders. None where none has."""
        if content in self.artifacts or content in self.published or self.store.folder(content).is_dir():
            return content
        return self._holders.get(content)

    def model(self, weights: str) -> str | None:
        """A model with these weights. None where none is here."""
        return self._weights.get(weights)

    def files(self, content: str, table: str) -> list[Path]:
        """The files of a table that a content holds; none of an artifact that is damaged."""
        holder = self.holder(content)
        if holder is None or holder in self.damaged:
            return []
        if holder == content:
            return sorted(self.store.folder(holder).rglob(f"{table}.parquet"))
        inside = next(ref for ref in self.store.folders(holder) if self.store.content(ref) == content)
        return sorted(self.store.folder(inside).glob(f"{table}.parquet"))

    def is_whole(self, told: Told) -> bool:
        """Whether everything that a round's record names is as it was, so that what it says can be said again."""
        known = all(done.job in self.publications for done in self.jobs if done.told is told)
        return known and not any(told.artifacts(stage) & self.damaged for stage in told.record.stages)

    def rewritten(self, told: Told) -> set[str]:
        """The artifacts that a round's record names and that hold less now, for something in them was forgotten."""
        named = {digest for stage in told.record.stages for digest in told.artifacts(stage)}
        return {digest for digest in named if self.store.now(digest) != digest}

    def is_unchanged(self, told: Told) -> bool:
        """Whether it is whole and nothing of it was forgotten, so that its events come out the same."""
        return self.is_whole(told) and not self.rewritten(told)

    def online(self) -> Iterator[tuple[Job, Publication]]:
        """The trainings that sampled and filtered for themselves, and keep the tables of it beside their model."""
        yield from ((job, made) for job, made in self.of_kind("train") if "iterations" in made.ingredients["settings"])

    def of_kind(self, kind: str) -> Iterator[tuple[Job, Publication]]:
        """The publications of a verb, in a fixed order."""
        for job in sorted(self.publications):
            if self.publications[job].ingredients["kind"] == kind:
                yield job, self.publications[job]

    def _made_by(self, *kinds: str) -> list[str]:
        return sorted(digest for digest, jobs in self.published.items() if any(kind in kinds for _, kind in jobs))

    def _follow(self) -> None:
        """Fill `publications`, `faults` and `artifacts`."""
        own: dict[str, list[Done]] = {}
        for done in self.jobs:
            own.setdefault(done.digest, []).append(done)
            self._read(done.job, done.where)
        waiting = deque([(done.digest, done.where) for done in self.jobs] + list(self._named()))
        while waiting:
            digest, where = waiting.popleft()
            if digest in self.artifacts:
                continue
            jobs = [done.job for done in own.get(digest, ())] or [job for job, _ in self.published.get(digest, ())]
            found = [one for job in jobs if (one := self._read(job, where)) is not None]
            self.artifacts[digest] = next((place for one in found if (place := _split(one))), where)
            known = own[digest][0].remedy if digest in own else f"make it again with: roundhouse improve {self.folder.name}"
            self.remedies[digest] = known
            waiting.extend((name, f"what {self.artifacts[digest]} was made from") for one in found for name in self._inputs(one))

    def _read(self, job: Job, where: str) -> Publication | None:
        if job not in self.publications and job not in self.faults:
            try:
                self.publications[job] = self.store.read(*job)
            except DamagedArtifact:
                self.faults[job] = where
        return self.publications.get(job)

    def _inputs(self, made: Publication) -> Iterator[str]:
        for contents in made.ingredients["inputs"].values():
            yield from (holder for content in contents if (holder := self.holder(content)) is not None)
        for parts in made.ingredients["models"].values():
            if (model := self.model(parts["weights"])) is not None:
                yield model

    def _named(self) -> Iterator[tuple[str, str]]:
        """What campaign.json and the records name beside jobs."""
        plan = self.campaign
        references = [*plan.problems.exclude, *(ref for refs in plan.replay.values() for ref in refs)]
        yield from ((str(reference).partition("/")[0], "campaign.json") for reference in references)
        for chosen in (plan.base, *plan.external.values()):
            yield from ((digest, f"the {role} that the campaign was given") for role, digest in chosen.items())
        for told in self.records:
            yield from ((digest, told.title) for digest in (*told.record.start.values(), *told.record.made.values()))
            for stage in told.record.stages:
                yield from ((digest, told.where(stage)) for digest in sorted(told.artifacts(stage)))


def _records(folder: CampaignFolder, report: Report) -> Iterator[Told]:
    paths = [*folder.path.glob("base/round.json"), *folder.path.glob("round-*/round*.json"), *folder.path.glob("round-*/rerunning.json")]
    for path in sorted(paths):
        try:
            record = read_round(path)
            _STAGES.validate_python(record.stages)
            _FIGURES.validate_python(record.metrics)
            yield Told(path, record)
        except (UserError, ValidationError) as error:
            place = f"{path.parent.name}/{path.name}"
            report.add(
                "rounds",
                place,
                "a record that can be read",
                f"one that cannot be ({' '.join(str(error).split())[:200]})",
                "restore it from a copy",
            )


def _split(made: Publication) -> str:
    """What a problem set is called; nothing for anything else."""
    return f"{made.ingredients['settings'].get('split', '')} problems" if made.ingredients["kind"] == "problems" else ""
