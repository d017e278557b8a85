"""Where campaigns stand, from what they leave on disk: any terminal of the machine sees it. Numbers stay numbers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lib import campaign as campaigns
from lib import comparison_settings, ending, holding, pace, stage_paths
from lib.alarms import every as every_alarm
from lib.artifacts import Artifacts
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign
from lib.comparison_settings import ComparisonFolder
from lib.decided import decisions
from lib.errors import UserError
from lib.estimate import rates
from lib.home import Home
from lib.pace import Pace
from lib.recipe import Recipe
from lib.round_record import RoundRecord, read_round
from lib.store import Store
from lib.strategy import UserCode

Facts = dict[str, Any]


def every(home: Home) -> list[CampaignFolder]:
    """The campaigns of a home, those whose beginning was cut short too."""
    if not home.campaigns.is_dir():
        return []
    unbegun = {path.parent.name for path in home.campaigns.glob("*/campaign.lock")}
    return [CampaignFolder(home, name) for name in sorted(unbegun | set(campaigns.names(home)))]


def comparisons(home: Home) -> list[Facts]:
    """Every comparison of a home: how many of its campaigns are closed, who runs it, and where its page is."""
    found: list[Facts] = []
    for name in comparison_settings.names(home):
        folder = ComparisonFolder(home, name)
        try:
            campaigns = [member.campaign for member in folder.load().members()]
        except UserError as error:
            found.append({"comparison": name, "reason": str(error)})
            continue
        closed = sum((home.campaigns / campaign / "test.json").is_file() for campaign in campaigns)
        page = str(folder.page) if folder.page.is_file() else None
        holder = holding.holder(folder.path, "comparison")
        found.append({"comparison": name, "campaigns": campaigns, "closed": closed, "holder": holder, "page": page})
    return found


class Standing:
    """One campaign, looked at again and again: what has not changed on disk is read once."""

    def __init__(self, folder: CampaignFolder) -> None:
        self.folder = folder
        self._records: dict[Path, tuple[int, RoundRecord]] = {}
        self._recipe: Recipe | None = None
        self._comparison = comparison_settings.of_campaign(folder.home, folder.name)
        self._pace: tuple[int, Pace] | None = None

    def facts(self) -> Facts:
        """Everything that status says of it, but its rounds."""
        try:
            campaign = self.folder.load() if self.folder.exists else None
        except UserError as error:
            return {"campaign": self.folder.name, "state": "unreadable", "reason": str(error)}
        goal = self.folder.goal if campaign else 0
        finished = self.finished()
        holder = self.folder.holder()
        state, reason = self._state(campaign, holder, goal)
        done = max((record.round for record in finished), default=0)
        now = self._now(holder)
        last = finished[-1] if finished else None
        return {
            "campaign": self.folder.name,
            "recipe": campaign.recipe_name if campaign else None,
            "state": state,
            "reason": reason,
            "comparison": self._comparison,
            "holder": holder,
            "rounds_done": done,
            "rounds": goal if campaign else None,
            "champion": champion(campaign, finished) if campaign else None,
            "figures": figures(last, "validation") if last else {},
            "figures_of_round": last.round if last else None,
            "figures_decision": last.state if last else None,
            "alarms": every_alarm.ringing(last.alarms) if last else [],
            "now": now and self._timed(now, campaign),
            "next": self._next(campaign, finished, now, goal),
            "closed": campaign is not None and bool(self.folder.test()),
            "cut_short": [] if holder else self._cut_short(),
        }

    def rounds(self) -> list[RoundRecord]:
        """Every attempt on record, in order."""
        found = []
        for path in sorted(self.folder.path.glob("round-*/round.json")):
            changed = path.stat().st_mtime_ns
            if path not in self._records or self._records[path][0] != changed:
                self._records[path] = changed, read_round(path)
            found.append(self._records[path][1])
        return sorted(found, key=lambda record: (record.round, record.attempt))

    def decided(self) -> list[Facts]:
        """What each controller decided, in the last attempt on record that has come to one."""
        artifacts = Artifacts(self.folder.home.store)
        found = ((record, decisions(record, artifacts)) for record in reversed(self.rounds()))
        record, last = next(((record, decided) for record, decided in found if decided), (None, []))
        return [{"round": record.round, "attempt": record.attempt, **one} for one in last] if record else []

    def finished(self) -> list[RoundRecord]:
        """The rounds that the gate has decided."""
        return [record for record in self.rounds() if record.state in ("accepted", "rejected")]

    def _cut_short(self) -> list[Facts]:
        """The rounds whose last rerun did not come to its end; their records stand as they were before it."""
        begun = [read_round(path) for path in sorted(self.folder.path.glob("round-*/rerunning.json"))]
        return [{"round": record.round, "attempt": record.attempt, "overrides": dict(record.overrides)} for record in begun]

    def _state(self, campaign: Campaign | None, holder: Facts | None, goal: int) -> tuple[str, str | None]:
        """What it does now and, where it does nothing, why."""
        ended = ending.read(self.folder.path)
        was = ended.state if ended else "stopped"
        if holder:
            return ("running" if campaign else "beginning"), None
        if campaign is None:
            return f"beginning {was}", ended.reason if ended else "its process ended without a word"
        if ended and ended.state == "failed":
            return "failed", ended.reason
        done = max((record.round for record in self.finished()), default=0)
        if done >= goal and self.folder.test():
            return "complete", None
        if ended:
            return "stopped", ended.reason
        if (self.folder.path / "holder.json").exists():  # its holder takes it away, unless killed
            return "stopped", "its process ended without a word"
        return "idle", None

    def _now(self, holder: Facts | None) -> Facts | None:
        """What the run is at; None where nothing runs, or has said nothing yet."""
        found = self.folder.progress() if holder else None
        if found is None or holder is None or holder["pid"] not in ("unknown", found.get("pid")):
            return None
        return {**found, "elapsed_seconds": time.time() - found["since"]}

    def _timed(self, now: Facts, campaign: Campaign | None) -> Facts:
        """What the run is at, with the time that is left of the stage and of the round."""
        known = self._known(campaign, now["round"])
        worked = None if now["reused"] else now["elapsed_seconds"]
        left = known.left(now["stage"], now["part"], now["share"], worked)
        rest = [known.whole(path) for path in self._following(campaign, now)]
        whole = None if left is None else left + known.after(now["stage"], now["part"]) + sum(seconds or 0.0 for seconds in rest)
        return {**now, "stage_seconds_left": left, "round_seconds_left": whole if now["stage"] in self._paths(campaign) else None}

    def _next(self, campaign: Campaign | None, finished: list[RoundRecord], now: Facts | None, goal: int) -> list[Facts]:
        """What follows: the stages of this round, then the next round or the closing figures."""
        done = max((record.round for record in finished), default=0)
        if campaign is None or (done >= goal and self.folder.test()):
            return []
        number = now["round"] if now and now["stage"] in self._paths(campaign) else done
        known = self._known(campaign, number)
        stages = [{"stage": path, "about_seconds": known.whole(path)} for path in self._following(campaign, now)] if now else []
        if now and now["stage"] == stage_paths.CLOSING:
            return []
        if (following := max(number, done) + 1) <= goal:
            return [*stages, {"round": following}]
        if following > goal + 1 or not goal:  # by a schedule, which leaves the test split alone
            return stages
        return [*stages, {"stage": stage_paths.CLOSING, "about_seconds": known.whole(stage_paths.CLOSING)}]

    def _following(self, campaign: Campaign | None, now: Facts) -> list[str]:
        """The stages that come after this one in its round."""
        paths = self._paths(campaign, now["round"])
        if now["round"] == 0:
            paths = [path for path in paths if path.startswith(pace.MEASURING)]
        return paths[paths.index(now["stage"]) + 1 :] if now["stage"] in paths else []

    def _paths(self, campaign: Campaign | None, number: int = 1) -> list[str]:
        recipe = self._loaded(campaign)
        return stage_paths.paths(recipe, number) if recipe else []

    def _loaded(self, campaign: Campaign | None) -> Recipe | None:
        """The recipe; None where there is none yet, or where its code can no longer be read."""
        if self._recipe is None and campaign is not None:
            try:
                UserCode.allow(self.folder.code)
                self._recipe = self.folder.recipe()
            except UserError:
                return None
        return self._recipe

    def _known(self, campaign: Campaign | None, number: int) -> Pace:
        """How long stages take, looked up once for every round."""
        recipe = self._loaded(campaign)
        if recipe is None or campaign is None:
            return Pace()
        if self._pace is None or self._pace[0] != number:
            store = Store(self.folder.home.store)
            took = pace.measured(self.finished(), store)
            missing = set(stage_paths.paths(recipe)) - took.keys()
            may = pace.estimated(recipe, campaign.problems.counts, rates(store), number) if missing else {}
            self._pace = number, Pace(took, may)
        return self._pace[1]


def champion(campaign: Campaign, finished: list[RoundRecord]) -> Facts | None:
    """The model that the gate last promoted, and the round that made it; 0 is the base model."""
    digest = campaigns.models_by_reference(campaign, finished)["champion"].get("policy")
    made = [record.round for record in finished if record.round and record.promoted.get("policy") == digest]
    return {"round": made[-1] if made else 0, "model": digest} if digest else None


def figures(record: RoundRecord, split: str) -> dict[str, Facts]:
    """Metric → value and standard error, of a round's model on a split."""
    rows = [row for row in reversed(record.metrics) if row["split"] == split and row["slice"] == "all"]  # the policy's stand first
    return {row["metric"]: {"value": row["value"], "stderr": row.get("stderr"), "n": row.get("n")} for row in rows}
