"""What the tasks of one flow run share: the store, the child sessions, what is forced, and who is told."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib import deciding, grown, holding, keys, tables
from lib.budget import NOTHING, Budget, Cost, Spending, job_cost
from lib.errors import ChildCrashed, Collected, DamagedArtifact, SlotLost, UserError
from lib.home import Home
from lib.in_use import InUse
from lib.job import Job, Label
from lib.protocols import Earlier, Machine, Work
from lib.records import STATE
from lib.redaction import REASON
from lib.store import Publication, Store
from lib.strategy import load
from lib.time_limits import time_limits
from lib.worker import Result, Session
from tasks.failing import told
from tasks.slots import Slot

Notice = Callable[[Label, int, int], None]
"""Called with (label, done, total): with done 0 when a job begins to work, and with done == total when it is finished or reused."""


def silent(label: Label, done: int, total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Done:
    """A job whose result is in the store."""

    label: Label
    publication: Publication
    reused: bool
    cost: Cost = NOTHING
    """What it cost whoever made it."""
    is_own: bool = False
    """Whether it was made for this very place, now or in a run that was cut off, and not for another round or campaign."""

    @property
    def digest(self) -> str:
        return self.publication.digest


class Workshop:
    """One per flow run; closes its children with it."""

    current: ClassVar[Workshop | None] = None
    """The workshop that is open in this process, for the flows below the one that opened it."""

    def __init__(
        self,
        home: Home,
        *,
        code_root: Path | None = None,
        forced: frozenset[tuple[int, str]] = frozenset(),
        remake: bool = False,
        notice: Notice = silent,
        budget: Budget | None = None,
    ) -> None:
        self.home = home
        self.store = Store(home.store)
        self.forced = forced
        self.remake = remake
        self.notice = notice
        self.budget = budget
        self.in_use = InUse(home.locks)
        self.device = os.environ.get("ROUNDHOUSE_DEVICE") or ("cuda:0" if Path("/dev/nvidia0").exists() else "cpu")
        self._time_limits = time_limits()
        self._identities: dict[str, dict[str, str]] = {}
        self._sessions = {
            needs: Session(
                device=self.device,
                needs_device=needs,
                lock_folder=home.locks,
                environment=dict(os.environ),
                code_root=code_root,
                named=partial(holding.spoken, home.campaigns),
            )
            for needs in (True, False)
        }
        self._slot = Slot(os.environ.get("ROUNDHOUSE_SLOT", ""), self._sessions[True].interrupt)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, home: Home, **settings: Any) -> Iterator[Workshop]:
        """The open workshop of this process, or a new one that is closed again."""
        if cls.current is not None:
            yield cls.current
            return
        shop = cls(home, **settings)
        shop.in_use.wait()  # whoever collects has not seen that this campaign is held
        cls.current = shop
        try:
            yield shop
        finally:
            cls.current = None
            shop.close()

    def close(self) -> None:
        """Kill the children; the device is free afterwards."""
        for session in self._sessions.values():
            session.close()
        self._slot.give_back()
        self.in_use.close()

    def stand_back(self) -> None:
        """Let others have the slot after a stage, where slots are given; its device first, for a slot covers what holds one."""
        if self._slot.name:
            self._sessions[True].release()
            self._slot.give_back()

    def key_of(self, job: Job) -> tuple[str, dict[str, Any]]:
        """A job's key and its ingredients."""
        ingredients = job.ingredients(self.store, {digest: self.identity(digest) for digest in job.models.values()})
        return keys.key_of(ingredients), ingredients

    def identity(self, model: str) -> dict[str, str]:
        """The digests of a model's weights, tokenizer, chat template and configuration."""
        from lib import models

        if model not in self._identities:
            with contextlib.suppress(Collected):  # what is reused needs to know the weights, not to have them
                self.store.verify(model)
            self._identities[model] = models.identity(self.store.folder(model), self.store.gone(model))
        return self._identities[model]

    def is_forced(self, job: Job) -> bool:
        """Whether this job's cache is to be passed over once."""
        return (job.label.round, job.label.stage_path) in self.forced

    def known(self, job: Job, key: str) -> Publication | None:
        """What the store has for a key, verified.

        Raises UserError where something was lost that could not be made again in the same way.
        """
        found = self.in_use.find(lambda: self.store.lookup(key)) if job.makes_model else self.store.lookup(key)
        if found is None and self.store.is_lost(key) and not self.remake and self._is_drawn_otherwise(job):
            raise UserError(f"{job.label}: its completions were lost or damaged and would not come out the same again; use --remake")
        return found

    def _is_drawn_otherwise(self, job: Job) -> bool:
        """Whether a job would not come out the same again: an accelerator or a server adds up in whichever order it likes."""
        engines = [load(engine) for engine in (job.settings.get("engine"), *job.settings.get("engines", {}).values())]
        samples = job.kind == "sample" or "iterations" in job.settings
        return samples and (self.device != "cpu" or not all(getattr(engine, "reproducible", True) for engine in engines))

    def afford(self, job: Job) -> None:
        """Raise BudgetSpent where the job's campaign may not spend any more."""
        if self.budget is not None:
            self.budget.refuse(job.label.campaign, self._spending(job).total())

    def _spending(self, job: Job) -> Spending:
        return Spending(self.home.campaigns / job.label.campaign)

    def foresee(self, job: Job) -> Done | None:
        """What a dry run says of a job; None where work is really done."""
        return None

    def tables_made(self, digest: str) -> list[str]:
        """The tables that an artifact holds."""
        return [name.removesuffix(".parquet") for name in self.store.files(digest) if name.endswith(".parquet")]

    def shards_of(self, digest: str) -> list[str]:
        """References to the shards of a problems artifact."""
        return self.store.folders(digest)

    def decided(self, digest: str) -> dict[str, Any]:
        """Dotted path within its phase → value, of the settings that a controller's artifact holds."""
        return deciding.settings_of(tables.read(self.store.folder(digest) / "state.parquet", STATE))

    def outcomes(self, digests: Iterable[str]) -> Counter[str]:
        """How often each outcome stands in verdict artifacts; scorers have none, and what was forgotten is not to be judged."""
        found: Counter[str] = Counter()
        for digest in digests:
            table = pq.read_table(self.store.folder(digest) / "verdicts.parquet", columns=["outcome", "reason"])
            judged = table.filter(pc.not_equal(table["reason"], REASON))
            found.update(str(outcome) for outcome in judged["outcome"].to_pylist() if outcome is not None)
        return found

    def make(self, job: Job, key: str, ingredients: Mapping[str, Any]) -> Publication:
        """Run a job in a child and publish what it wrote, unless somebody else does so first."""
        while True:
            if self._slot.name and job.needs_device:
                if not self.is_forced(job) and (found := self.known(job, key)) is not None:
                    return found  # no slot for what is there already
                if self._slot.was_lost:
                    self.stand_back()
                self._slot.take()  # before the key: who waits for a slot holds nothing
            with self.store.key_lock(key, wait=False) as held:
                if held:
                    return self._made(job, key, ingredients)
            self._sessions[True].release()  # never wait for a key while holding a device, or its slot
            self._slot.give_back()
            with self.store.key_lock(key, wait=True):
                if not self._slot.name:
                    return self._made(job, key, ingredients)

    def _made(self, job: Job, key: str, ingredients: Mapping[str, Any]) -> Publication:
        found = None if self.is_forced(job) else self.known(job, key)
        if found is not None:
            return found
        self.notice(job.label, 0, 1)  # it is at work from here on; of what is reused the end alone is told
        self._verify_inputs(job)
        started = time.monotonic()
        scratch = self.home.scratch / job.label.campaign / key
        with self.store.workspace() as out:
            result = self._run(job, self._work(job, scratch, self._earlier(job, key, ingredients)), out)
            cost = job_cost(job, result, time.monotonic() - started)
            self._spending(job).add(str(job.label), cost)
            measured = {
                **result.stats,
                **asdict(result.usage),
                "seconds": cost.seconds,
                "cost": asdict(cost),
                "micro_batch": result.micro_batch,
                "device": self.device,
                "label": str(job.label),
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            rows = tables.rows_in(out)
            published = self._published(job, lambda: self.store.publish(out, key, ingredients, rows, measured))
        grown.remember(self.store, key, ingredients)
        shutil.rmtree(scratch, ignore_errors=True)
        return published

    def _published(self, job: Job, publish: Callable[[], Publication]) -> Publication:
        return self.in_use.find(publish) if job.makes_model else publish()

    def _run(self, job: Job, work: Work, out: Path) -> Result:
        limit = self._time_limits[job.kind]
        try:
            with told(job, work.machine.scratch, limit):
                return self._sessions[job.needs_device].run(
                    f"lib.stages.{job.kind}:run",
                    work,
                    out,
                    timeout_seconds=limit,
                    report=lambda done, total: self.notice(job.label, done, total),
                    memory_key=self._memory_key(job),
                )
        except ChildCrashed as crash:
            if job.needs_device and self._slot.was_lost:
                raise SlotLost(f"{job.label}: stopped, for the lease of its slot of '{self._slot.name}' was lost") from crash
            raise

    def _verify_inputs(self, job: Job) -> None:
        """A key that names an input's digest must not be given a result made from other bytes."""
        for digest in {ref.partition("/")[0] for refs in job.inputs.values() for ref in refs} | set(job.models.values()):
            try:
                self.store.verify(digest)
            except Collected as collected:
                raise Collected(f"{job.label} cannot run: {collected}") from None
            except DamagedArtifact as damage:
                remedy = f"make it again: roundhouse rerun {job.label.campaign} --round N --from STAGE, of the round that made it"
                raise DamagedArtifact(f"{job.label} reads what was damaged: {damage}; {remedy}") from None

    def _memory_key(self, job: Job) -> str:
        """What a safe micro-batch is remembered by: the architecture and the length, not the weights."""
        shapes = sorted(self.identity(digest)["config"][:16] for digest in job.models.values())
        return f"{job.kind}:{','.join(shapes)}:{job.settings.get('sampler', {}).get('max_new_tokens', '')}"

    def _earlier(self, job: Job, key: str, ingredients: Mapping[str, Any]) -> list[Earlier]:
        """What a job need not make again; nothing for one that is to be made anew, or as it was before it was lost."""
        if self.remake or self.is_forced(job) or self.store.is_lost(key):
            return []
        return grown.earlier(self.store.lookup, self.store, ingredients)

    def _work(self, job: Job, scratch: Path, earlier: Iterable[Earlier]) -> Work:
        inputs = {name: [self.store.folder(ref) for ref in refs] for name, refs in job.inputs.items()}
        inputs |= {name: [Path(source)] for name, source in job.outside.items()}
        models = {role: (digest, self.store.folder(digest)) for role, digest in job.models.items()}
        return Work(job.settings, inputs, models, job.seed, Machine(device=self.device, scratch=scratch), tuple(earlier))
