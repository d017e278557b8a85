"""What the flows of one campaign work at: its folder, its recipe and problems, the workshop, and the record they leave."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from flows.at_work import Work
from flows.begin import open_campaign
from lib import campaign as campaigns
from lib import ending, events, inherited
from lib import home as homes
from lib.artifacts import Artifacts
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign
from lib.environment import quiet_environment
from lib.home import Home
from lib.job import Label, Result
from lib.opening import Opening
from lib.overrides import applied
from lib.plan import Ground
from lib.publisher import Publisher
from lib.recipe import Recipe
from lib.round_events import round_event
from lib.round_record import RoundRecord
from lib.strategy import UserCode
from tasks.announce import announce_campaign, announce_round, show_progress
from tasks.problems import held_out, training
from tasks.workshop import Workshop

PROGRESS_SECONDS = 0.3
"""Shortest time between two rewrites of progress.json."""

PAGE_SECONDS = 2.0
"""Shortest time between two changes of a progress artifact: each is a request to the server, some 20 ms."""

PUBLISH_SECONDS = 60.0
"""How long a command that is done waits for MLflow to take what is left; after that the outbox keeps it."""

INTERRUPTED_SECONDS = 3.0
"""How long one does that was interrupted."""

log = logging.getLogger(__name__)


class Desk:
    """Opened once per process and campaign; the flows below it share it."""

    current: ClassVar[Desk | None] = None

    def __init__(self, folder: CampaignFolder, shop: Workshop, publisher: Publisher) -> None:
        self.folder = folder
        self.shop = shop
        self.publisher = publisher
        self.campaign: Campaign = folder.load()
        self.recipe = folder.recipe()
        self.held_out = held_out(self.campaign.problems, folder.name, shop)
        announce_campaign(self.campaign, folder.home)
        publisher.kick()

    @classmethod
    @contextmanager
    def at(cls, name: str, *, opening: Opening | None = None, wait: bool = False, **settings: Any) -> Iterator[Desk]:
        """The desk of a campaign: the open one, or a new one that holds the campaign while it is open.

        A campaign that is not there is begun if an opening is given. Raises UnknownName where it is not, Held if another
        process runs the campaign.
        """
        if cls.current is not None and cls.current.folder.name == name:
            yield cls.current
            return
        quiet_environment()  # a worker starts flows without the command's own start
        home = homes.current()
        folder = CampaignFolder(home, name)
        if opening is None:
            folder.load()  # says so at once where there is no such campaign
        with folder.hold(wait=wait), ending.noted(folder.path), _publishing(home) as publisher:
            UserCode.allow(folder.code)
            resolved = opening.resolve(folder) if opening is not None and not folder.exists else None
            with Workshop.opened(home, code_root=folder.code, notice=Teller(folder), **settings) as shop:
                if opening is not None and resolved is not None:
                    open_campaign(folder, opening, *resolved, shop)
                cls.current = cls(folder, shop, publisher)
                try:
                    yield cls.current
                finally:
                    cls.current = None

    def ground(self, number: int, attempt: int, overrides: Mapping[str, str] | None = None) -> Ground:
        """What a round stands on, with what was changed for it alone."""
        problems = training(self.campaign.problems, number, self.folder.name, self.shop)
        return ground_of(self.folder, applied(self.campaign, overrides or {}), problems, self.held_out, number, attempt)

    def recipe_of(self, record: RoundRecord) -> Recipe:
        """The recipe that a round runs: the campaign's, with what a rerun changed for it."""
        return Recipe.model_validate(applied(self.campaign, record.overrides).recipe)

    def begun(self, ground: Ground, supersedes: str, changes: dict[str, str]) -> RoundRecord:
        """The record of an attempt that begins now, with the models that it stands on."""
        label, start = ground.label, dict(ground.models["previous"])
        record = RoundRecord(label.campaign, label.round, label.attempt, start=start, supersedes=supersedes, overrides=changes)
        recipe = self.recipe_of(record)
        record.besides = campaigns.besides(recipe.dump(), ground.models)
        record.inherited = inherited.inherited(recipe, label.round, ground.before)
        if supersedes:  # so that status can tell of a rerun that is killed in its first stage
            self.save(record)
        return record

    def first(self, record: RoundRecord) -> RoundRecord:
        """Round 0, which later rounds are held against; a round that has none before it stands for itself."""
        return next((found for found in self.folder.finished() if found.round == 0), record) if record.round else record

    def save(self, record: RoundRecord) -> None:
        """Keep a round that still runs; a rerun is kept beside the record that it may supersede."""
        self.folder.write_round(record, rerunning=bool(record.supersedes))

    def finish(self, record: RoundRecord) -> None:
        """Close a round: first its events, which said twice are said once, then its record, which makes it finished."""
        record.revision = self._revision(record)
        old = self.folder.record(record.round) if record.supersedes else None
        later_stand = old is not None and (old.made, old.state) == (record.made, record.state) and not self._stale_after(record)
        record.event = announce_round(record, self.campaign, self.shop, later_stand=later_stand)
        if record.supersedes:
            self.folder.supersede(record)
        else:
            self.folder.write_round(record)
        self.publisher.kick()

    def _stale_after(self, record: RoundRecord) -> list[RoundRecord]:
        """The rounds that would not stand, were this record in the place of the one that it supersedes."""
        place = (record.round, record.attempt)
        return stale(self.campaign, [record if (one.round, one.attempt) == place else one for one in self.folder.finished()])

    def _revision(self, record: RoundRecord) -> int:
        newest = self.folder.revision()
        if not record.supersedes:
            return newest
        kept = replace(record, revision=self.folder.record(record.round).revision)
        same = events.identity(round_event(kept, self.campaign, self.shop.store)) == record.supersedes
        return kept.revision if same else newest + 1

    def keep_test(self, old: RoundRecord) -> None:
        """Give a rerun that came out the same the test figures of the record that it superseded."""
        record = self.folder.record(old.round)
        record.stages |= {path: stage for path, stage in old.stages.items() if path == "evaluate/test"}
        self.folder.write_round(record)

    def set_stale_aside(self) -> list[int]:
        """Set aside every round that stands on what the rounds before it no longer end in; their numbers.

        Test figures of a campaign that changed are set aside with them.
        """
        finished = self.folder.finished()
        aside = stale(self.campaign, finished)
        for record in reversed(aside):
            self.folder.set_aside(record)
        if aside or any(_is_owed_figures(record, self.folder) for record in finished):
            self.folder.set_test_aside()
        return [record.round for record in aside]


class Teller:
    """Puts what a job says of itself into progress.json, where every terminal sees it, and on the flow run's page."""

    def __init__(self, folder: CampaignFolder) -> None:
        self._folder = folder
        self._work = Work()
        self._told = 0.0
        self._showed = time.monotonic()
        self._shown: set[str] = set()

    def __call__(self, label: Label, done: int, total: int) -> None:
        now = time.monotonic()
        share = (label.shard + done / max(total, 1)) / label.shards
        begins = self._work.hear(label, done, total)
        if now - self._told < PROGRESS_SECONDS and share < 1 and not begins:
            return
        self._told = now
        self._folder.write_progress({**self._work.facts(label), "share": round(share, 4)})
        begun = label.stage_path in self._shown
        if begun if share >= 1 else now - self._showed >= PAGE_SECONDS:  # what was reused needs no artifact of its own
            self._shown.add(label.stage_path)
            self._showed = now
            show_progress(label, share)


def ground_of(
    folder: CampaignFolder,
    campaign: Campaign,
    problems: tuple[str, ...],
    held_out: Mapping[str, tuple[str, ...]],
    number: int,
    attempt: int,
) -> Ground:
    """What a round stands on, from the campaign and the rounds that finished before it."""
    before = [record for record in folder.finished() if (record.round, record.attempt) < (number, attempt)]
    return Ground(
        label=Label(folder.name, number, "", "", attempt),
        seed=campaign.seed,
        engine=campaign.recipe["engine"],
        problems=problems,
        held_out=tuple(ref for references in held_out.values() for ref in references),
        models=campaigns.models_by_reference(campaign, before),
        earlier=_earlier(before, {phase["name"]: phase["role"] for phase in campaign.recipe["phases"]}),
        replay=campaign.replay,
        engines=campaign.recipe.get("engines", {}),
        before=inherited.left_by(before),
        rounds=campaign.rounds,
    )


def stale(campaign: Campaign, finished: list[RoundRecord]) -> list[RoundRecord]:
    """The rounds from the first on that began with other models, states or examples than the rounds before it now end in."""
    for place, record in enumerate(finished):
        before = finished[:place]
        known = campaigns.models_by_reference(campaign, before)
        if record.round and (not campaigns.stands(record, known) or inherited.changed(record, before)):
            return finished[place:]
    return []


def _is_owed_figures(record: RoundRecord, folder: CampaignFolder) -> bool:
    """Whether a round's model is still to be measured on the test split; weights that were collected cannot be."""
    model = {**record.start, **record.made}.get("policy", "")
    return "evaluate/test" not in record.stages and not Artifacts(folder.home.store).gone(model)


@contextmanager
def _publishing(home: Home) -> Iterator[Publisher]:
    publisher = Publisher(home.outbox, home.mlflow_uri, log.warning, home.prefect_pages)
    patience = PUBLISH_SECONDS
    try:
        yield publisher
    except KeyboardInterrupt:  # somebody waits for the prompt
        patience = INTERRUPTED_SECONDS
        raise
    finally:
        publisher.close(patience)


def _earlier(before: list[RoundRecord], roles: Mapping[str, str]) -> dict[str, dict[str, dict[int, Result]]]:
    """What plan.Ground calls so; `roles`: phase → the role that it trains."""
    found: dict[str, dict[str, dict[int, Result]]] = {}
    for record in before:
        if record.round == 0:
            continue  # the warm start's examples come back by `replay` alone
        for path, stage in record.stages.items():
            if stage["verb"] != "train":
                continue
            read = Result({name: tuple(refs) for name, refs in stage["read"].items() if name.startswith("examples_")})
            kinds = ["all", "accepted"] if record.accepts(roles.get(path.partition("/")[0], "policy")) else ["all"]
            for kind in kinds:
                here = found.setdefault(path, {}).setdefault(kind, {})
                here[record.round] = Result({}, (*here.get(record.round, Result({})).read, read))
    return found
