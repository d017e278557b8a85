"""What a campaign was begun with, as campaign.json keeps it, and whether what is asked of it later is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib import recipe as recipes
from lib import seeds
from lib.campaign import siblings
from lib.campaign_settings import Campaign
from lib.errors import UserError
from lib.files import sha256_of
from lib.opening import COUNTS, Opening

Json = dict[str, Any]


def record(opening: Opening) -> Json:
    """An opening's settings, the sha256 of a user's recipe and of the modules beside it, and the model folder's content."""
    return {**opening.model_dump(mode="json"), "recipe_files": _recipe_files(opening.recipe), "model_content": _content(opening.model)}


def files_of(folder: Path) -> dict[str, str]:
    """Path below a folder → sha256, for every file in it."""
    return {str(p.relative_to(folder)): sha256_of(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def refuse_other(campaign: Campaign, opening: Opening, given: frozenset[str]) -> None:
    """Raise UserError if an option that was given says something else than what the campaign was begun with.

    `given` names options of `improve`: recipe, set, seed, model, problems, count, held-out, warm-steps, warm-start, attempts,
    same-problems, numbers. How far a campaign goes (`--rounds`) may always change.
    """
    if given and not campaign.opening:
        raise UserError(
            f"campaign '{campaign.name}' keeps no record of how it was begun; continue it with: roundhouse improve {campaign.name}"
        )
    for was, asked in _differences(campaign.opening, record(opening), given) if given else ():
        raise UserError(
            f"campaign '{campaign.name}' was begun with {was}, and {asked} is asked for; leave that out to continue, "
            "or begin another campaign: roundhouse improve OTHERNAME …"
        )


def _differences(stored: Json, asked: Json, given: frozenset[str]) -> Iterator[tuple[str, str]]:
    if "model" in given and not _same_model(stored, asked):
        yield _model(stored), _model(asked)
    before, now = _spoken(stored), _spoken(asked)
    for option in sorted(given & before.keys()):
        if before[option] != now[option]:
            yield before[option], now[option]
    if "set" in given:
        yield from _settings(stored["settings"], asked["settings"])


def _settings(stored: dict[str, str], asked: dict[str, str]) -> Iterator[tuple[str, str]]:
    for path in sorted(stored.keys() | asked.keys()):
        before, now = (f"--set {path}={_plain(found[path])}" if path in found else f"no --set {path}" for found in (stored, asked))
        if before != now:
            yield before, now


def _plain(text: str) -> str:
    """A setting's value in one spelling, so that 1e-3 is 0.001."""
    return json.dumps(recipes.parsed(text), ensure_ascii=False, sort_keys=True)


def _same_model(stored: Json, asked: Json) -> bool:
    if asked["model_content"] and stored["model_content"]:
        return bool(asked["model_content"] == stored["model_content"])
    return bool(asked["model"] == stored["model"])


def _model(opening: Json) -> str:
    content = opening["model_content"]
    return f"--model {opening['model']}" + (f" (content {content[:12]})" if content else "") if opening["model"] else "no --model"


def _spoken(opening: Json) -> dict[str, str]:
    """Every other option as it would be typed."""
    counts, steps = {**COUNTS, **opening["counts"]}, opening["warm_start"].get("trainer.steps")
    files = ", ".join(f"{name} (sha256 {sha[:12]})" for name, sha in opening["recipe_files"].items())
    return {
        "recipe": f"--recipe {files or opening['recipe']}",
        "seed": f"--seed {opening['seed']}",
        "problems": f"--problems {opening['problems']}" if opening["problems"] else "no --problems",
        "count": f"--count {counts['train']}",
        "held-out": f"--held-out {counts['validation']} (gate {counts['gate']}, test {counts['test']})",
        "warm-steps": f"--warm-steps {steps}" if steps else "no --warm-steps",
        "warm-start": f"--warm-start {opening['warm_recipe']}" if opening.get("warm_recipe") else "no --warm-start",
        "attempts": f"--attempts {opening['attempts']}",
        "same-problems": "no --same-problems" if opening["fresh"] else "--same-problems",
        "numbers": f"--numbers {opening['numbers'] or 3}",
    }


def _recipe_files(recipe: str) -> dict[str, str]:
    if not recipe.endswith(".py"):
        return {}
    path = recipes.existing_file(recipe)
    try:
        return {file.name: sha256_of(file) for file in [path, *siblings(path)]}
    except SyntaxError as error:
        raise UserError(f"{path} or a module beside it is not Python (line {error.lineno}: {error.msg})") from None


def _content(model: str | None) -> str | None:
    folder = Path(model).expanduser() if model else None
    return seeds.digest(files_of(folder)) if folder is not None and folder.is_dir() else None
