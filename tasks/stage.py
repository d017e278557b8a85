"""What every stage hands back to its flow."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from lib.budget import together
from lib.job import Result
from lib.records import TABLES
from lib.round_record import RoundRecord
from tasks.workshop import Done


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished stage: its result for the stages after it, and its jobs for the record."""

    result: Result
    jobs: list[Done]
    learned: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What a train stage was given to learn: `examples` of this round and earlier ones, and what it replayed. Which of the examples
    it let go stands beside its model, in `evicted`."""
    figures: dict[str, float] = field(default_factory=dict)
    """Shares over all of its shards, where it has some to tell."""

    def note(self, record: RoundRecord, path: str, verb: str, read: Result) -> None:
        """Put this stage into a round's record."""
        record.stages[path] = {
            "verb": verb,
            "jobs": [
                {
                    "label": str(done.label),
                    "key": done.publication.key,
                    "version": done.publication.version,
                    "digest": done.digest,
                    "reused": done.reused,
                }
                for done in self.jobs
            ],
            "made": {name: list(refs) for name, refs in self.result.made.items()},
            "learned": {name: list(refs) for name, refs in self.learned.items()},
            "read": {name: list(refs) for name in TABLES if (refs := read.every(name))},
            "figures": self.figures,
            "cost": {
                "spent": asdict(together(done.cost for done in self.jobs if done.is_own)),
                "reused": asdict(together(done.cost for done in self.jobs if not done.is_own)),
            },
        }
