"""What `roundhouse rerun` does: say what a round run again would redo, or run it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from flows import terminal
from flows.asking import pairs
from flows.running import running
from flows.watching import watching
from lib import home as homes
from lib import overrides, stage_paths
from lib.campaign import CampaignFolder
from lib.errors import UserError
from lib.recipe import Recipe
from lib.strategy import UserCode


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `rerun` that say what to run again."""

    name: str
    number: int
    stage: str | None = None
    phase: str | None = None
    settings: list[str] = field(default_factory=list)

    def checked(self, folder: CampaignFolder) -> tuple[tuple[str, ...], dict[str, str]]:
        """The stages that pass over their cache, and the settings to change. Raises UserError for what cannot be run."""
        folder.record(self.number)
        changes = pairs(self.settings)
        if self.stage is None and self.phase is not None:
            raise UserError(f"--phase {self.phase} says where a stage is; name the stage with --from")
        if self.stage is None and not changes:
            raise UserError("nothing to run again: name a stage with --from, or change a setting with --set")
        UserCode.allow(folder.code)
        self._refuse_later(changes)
        campaign = folder.load()
        settings = overrides.needed(campaign, {**overrides.recorded(folder, self.number), **changes})
        recipe = Recipe.model_validate(overrides.applied(campaign, settings).recipe)
        return (() if self.stage is None else stage_paths.named(recipe, self.stage, self.phase, self.number)), changes

    def _refuse_later(self, changes: dict[str, str]) -> None:
        """Until a round has ended its model is the base one (lib.campaign.models_by_reference), which nobody means who names it here."""
        for path, value in changes.items():
            for number in re.findall(r"\bround:([0-9]+)\b", value):
                if int(number) >= self.number:
                    raise UserError(
                        f"--set {path}={value}: round {self.number} comes before the model of round {number}; name an earlier one, or base"
                    )


def rerun(asked: Asked, *, dry_run: bool, remake: bool, wait: bool, as_json: bool) -> None:
    """Run a round again from one of its stages or with other settings, and say what that changed."""
    home = homes.current()
    folder = CampaignFolder(home, asked.name)
    forced, changes = asked.checked(folder)
    if dry_run:
        from flows.forecast import forecast, grouped

        rows = forecast(folder, asked.number, forced, changes)
        what = " ".join([*(["from", *forced] if forced else []), *(f"--set {word}" for word in asked.settings)])
        terminal.show(rows if as_json else grouped(rows), f"{asked.name} round {asked.number} {what}: nothing was run", as_json)
        return
    with running(home), watching(home, [asked.name], quiet=as_json):
        from flows.desk import Desk
        from flows.rerun import rerun as flow

        with Desk.at(asked.name, wait=wait, remake=remake, forced=frozenset((asked.number, path) for path in forced)):
            outcome = flow(asked.name, asked.number, changes)
    if as_json:
        terminal.print_json(outcome)
    else:
        terminal.console.print(outcome["sentence"], markup=False)
