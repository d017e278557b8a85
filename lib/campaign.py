"""A campaign on disk: its settings, its rounds, who holds it.

campaigns/NAME/campaign.json             recipe, seed, problems, base models: fixed when the campaign is made
campaigns/NAME/code/                     a copy of the user's recipe file and of its sibling modules
campaigns/NAME/round-002/round.json      what round 2 did; round-002-attempt-2 where it was tried again
campaigns/NAME/test.json                 the closing figures on the test split
campaigns/NAME/stop.json                 where and why the recipe's own rule ended it
campaigns/NAME/progress.json             what runs now; rewritten as it goes
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lib import artifacts, holding
from lib.campaign_settings import FORMAT, Campaign
from lib.errors import UnknownName, UserError
from lib.files import read_json, write_json
from lib.home import Home
from lib.recipe import Recipe
from lib.round_record import RoundRecord, read_figures, read_round
from lib.source import parsed

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


class CampaignFolder:
    """The folder of one campaign."""

    def __init__(self, home: Home, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise UserError(f"'{name}' cannot name a campaign; use letters, digits, - and _, at most 63")
        self.home = home
        self.name = name
        self.path = home.campaigns / name

    @property
    def exists(self) -> bool:
        return (self.path / "campaign.json").is_file()

    @property
    def code(self) -> Path | None:
        """The copy of the user's recipe, if the campaign has one."""
        folder = self.path / "code"
        return folder if folder.is_dir() else None

    def create(self, campaign: Campaign) -> None:
        """Write campaign.json; the folder then counts as a campaign."""
        write_json(self.path / "campaign.json", asdict(campaign))

    def load(self) -> Campaign:
        """What campaign.json says. Raises UnknownName for a campaign that is not there, UserError for one that is damaged."""
        if not self.exists:
            raise UnknownName("campaign", self.name, names(self.home), f"in {self.home.campaigns}")
        path = self.path / "campaign.json"
        values = read_json(path)
        if isinstance(values, dict) and isinstance(found := values.get("format"), int) and found > FORMAT:
            raise UserError(f"campaign '{self.name}' has format {found}, this roundhouse knows {FORMAT}; use a newer one")
        try:
            return TypeAdapter(Campaign).validate_python(values)
        except ValidationError as error:
            raise _damage(path, error) from None

    @property
    def goal(self) -> int:
        """The round that it goes up to: as planned when it began, or as far as it was asked to go since."""
        path = self.path / "goal.json"
        asked = read_json(path) if path.is_file() else 0
        if not isinstance(asked, int):
            raise UserError(f"{path} holds no number of rounds; restore it or remove it")
        return max(self.load().rounds, asked)

    def aim(self, rounds: int) -> None:
        """Note that it was asked to go further, so that it does whoever continues it."""
        if rounds > self.goal:
            write_json(self.path / "goal.json", rounds)

    def write_stop(self, number: int, goal: int, reason: str) -> None:
        """Note that its recipe's own rule ended it after a round, on its way to another."""
        write_json(self.path / "stop.json", {"round": number, "goal": goal, "reason": reason})

    def stop(self) -> dict[str, Any] | None:
        """Where (`round`), on its way to which round (`goal`) and why its recipe's own rule ended it last; None where it did not."""
        path = self.path / "stop.json"
        return dict(read_json(path)) if path.is_file() else None

    def recipe(self) -> Recipe:
        """The recipe that campaign.json holds. Raises UserError where it holds none."""
        try:
            return Recipe.model_validate(self.load().recipe)
        except ValidationError as error:
            raise _damage(self.path / "campaign.json", error, "recipe") from None

    def copy_code(self, recipe_file: Path) -> Path:
        """Copy a user's recipe file and the modules beside it that it imports; returns the copy of the file."""
        target = self.path / "code"
        target.mkdir(parents=True, exist_ok=True)
        for source in [recipe_file, *siblings(recipe_file)]:
            shutil.copyfile(source, target / source.name)
        return target / recipe_file.name

    def round_path(self, number: int, attempt: int) -> Path:
        again = f"-attempt-{attempt}" if attempt > 1 else ""
        return self.path / f"round-{number:03d}{again}" / "round.json"

    def write_round(self, record: RoundRecord, rerunning: bool = False) -> None:
        """Replace a round's record; one that is run again is written beside it until it is whole."""
        path = self.round_path(record.round, record.attempt)
        write_json(path.with_name("rerunning.json") if rerunning else path, asdict(record))

    def supersede(self, record: RoundRecord) -> None:
        """Put a whole rerun in the place of the record that it supersedes, which is kept."""
        self.set_aside(record)
        self.write_round(record)
        self.round_path(record.round, record.attempt).with_name("rerunning.json").unlink(missing_ok=True)

    def base(self) -> RoundRecord | None:
        """How the campaign's base model was made, where it made one itself."""
        path = self.path / "base" / "round.json"
        return read_round(path) if path.is_file() else None

    def set_test_aside(self) -> None:
        """Keep test figures that no longer hold as test.superseded-N.json."""
        path = self.path / "test.json"
        if path.is_file():
            path.rename(path.with_name(f"test.superseded-{len(list(self.path.glob('test.superseded-*'))) + 1}.json"))

    def write_base(self, record: RoundRecord) -> None:
        """Keep how the campaign's base model was made, where it made one itself."""
        write_json(self.path / "base" / "round.json", asdict(record))

    def write_test(self, rows: list[dict[str, Any]]) -> None:
        """Keep the closing figures on the test split."""
        write_json(self.path / "test.json", rows)

    def test(self) -> list[dict[str, Any]]:
        """The closing figures, empty before the campaign is complete."""
        path = self.path / "test.json"
        return read_figures(path) if path.is_file() else []

    def rounds(self) -> list[RoundRecord]:
        """Every attempt on record, in order of round and attempt; unfinished ones too."""
        found = [read_round(path) for path in sorted(self.path.glob("round-*/round.json"))]
        return sorted(found, key=lambda r: (r.round, r.attempt))

    def record(self, number: int) -> RoundRecord:
        """The last attempt at a round. Raises UnknownName for a round that did not begin."""
        found = [record for record in self.rounds() if record.round == number]
        if not found:
            self.load()
            raise UnknownName("round", str(number), [str(r.round) for r in self.rounds()], f"in campaign '{self.name}'")
        return found[-1]

    def superseded(self, record: RoundRecord) -> RoundRecord | None:
        """The record that a rerun took the place of; None where it was no rerun."""
        paths = self.round_path(record.round, record.attempt).parent.glob("round.superseded-*.json")
        aside = [read_round(path) for path in paths] if record.supersedes else []
        return next((old for old in aside if old.event == record.supersedes), None)

    def set_aside(self, record: RoundRecord) -> None:
        """Keep a record beside its place, as round.superseded-N.json, before another takes the place."""
        path = self.round_path(record.round, record.attempt)
        number = len(list(path.parent.glob("round.superseded-*.json"))) + 1
        path.rename(path.with_name(f"round.superseded-{number}.json"))

    def revision(self) -> int:
        """The highest revision that a record of this campaign has, superseded ones included."""
        return max((read_round(path).revision for path in self.path.glob("round-*/round*.json")), default=0)

    def finished(self) -> list[RoundRecord]:
        return [record for record in self.rounds() if record.state in ("accepted", "rejected")]

    def write_progress(self, values: Mapping[str, Any]) -> None:
        """Replace progress.json; it is for eyes only, so it is not flushed to the disk."""
        aside = self.path / f".progress.{os.getpid()}"
        aside.write_text(json.dumps(values), encoding="utf-8")
        aside.replace(self.path / "progress.json")

    def progress(self) -> dict[str, Any] | None:
        """What runs now; None where nothing says so, or not readably: it is for eyes only."""
        return artifacts.parsed(self.path / "progress.json")

    def holder(self) -> dict[str, Any] | None:
        """Who runs this campaign now (pid, host), or None."""
        return holding.holder(self.path)

    @contextmanager
    def hold(self, *, wait: bool) -> Iterator[None]:
        """Run this campaign alone. Raises Held, saying who holds it, unless told to wait."""
        with holding.hold(self.path, self.name, wait=wait):
            yield


def _damage(path: Path, error: ValidationError, *inside: str) -> UserError:
    first = error.errors()[0]
    where = ".".join((*inside, *map(str, first["loc"]))) or "the whole"
    return UserError(f"{path} is damaged ({where}: {first['msg']}); restore it, or begin another campaign")


def names(home: Home) -> list[str]:
    """Every campaign of a home."""
    return sorted(p.parent.name for p in home.campaigns.glob("*/campaign.json"))


def siblings(recipe_file: Path) -> list[Path]:
    """The modules beside a recipe file that it imports, and those that they import."""
    import ast

    found: list[Path] = []
    waiting = [recipe_file]
    while waiting:
        tree = parsed(waiting.pop())
        tops = {a.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        tops |= {(n.module or "").partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        for top in sorted(tops):
            file = recipe_file.parent / f"{top}.py"
            if top and file.is_file() and file != recipe_file and file not in found:
                found.append(file)
                waiting.append(file)
    return found


def models_by_reference(campaign: Campaign, finished: list[RoundRecord]) -> dict[str, dict[str, str]]:
    """`base`, `previous`, `champion`, `latest` and `round:N` → role → model digest, from what has finished.

    A model that the gate rejected stands under its round's number and as `latest` only; each role has a champion of its own.
    """
    found: dict[str, dict[str, str]] = {"base": dict(campaign.base), **campaign.external}
    best, latest = dict(campaign.base), dict(campaign.base)
    for record in finished:
        if record.round == 0:
            continue
        latest = {**latest, **record.made}
        found[f"round:{record.round}"] = {**best, **record.made}
        best = {**best, **record.promoted}
    found["previous"] = best
    found["champion"] = best
    found["latest"] = latest
    return found


def strings(value: Any) -> Iterator[str]:
    """Every text in JSON values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from strings(part)
    elif isinstance(value, str):
        yield value


def besides(recipe: Mapping[str, Any], known: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Of the references known, those to rounds that a recipe names, for a round that is run again may change them, rejected or not."""
    named = {*strings(recipe)}
    return {name: dict(models) for name, models in known.items() if name in named and (name == "latest" or name.startswith("round:"))}


def stands(record: RoundRecord, known: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a round began with the models that are known from the rounds before it."""
    return record.start == known["previous"] and all(known.get(name) == models for name, models in record.besides.items())
