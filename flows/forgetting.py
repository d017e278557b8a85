"""What `roundhouse forget` prints: what was rewritten, what else there is to look at, and who had learned from it."""

from __future__ import annotations

from typing import Any

from flows import terminal
from lib import exported, forgetting
from lib import home as homes
from lib.errors import UserError
from lib.forgotten import Forgotten
from lib.home import Home
from lib.report.words import count


def forget(kind: str, name: str, *, dry_run: bool, as_json: bool) -> None:
    """Forget, or only say what that would be. Raises UserError for what is unknown or was forgotten before."""
    if not name:
        raise UserError("an id is needed, or its beginning; `roundhouse query` finds one")
    home = homes.current()
    planned = forgetting.plan(home, kind, name)
    files = forgetting.mentions(home, planned, forgetting.text_of(home, planned.kind, planned.id))
    outside = [row["place"] for row in exported.holding(home, {*planned.artifacts, *planned.learned})]
    done = planned if dry_run else forgetting.forget(home, kind, planned.id)
    left = {"files": files, "exports": outside if dry_run else _still(home, outside)}
    if as_json:
        terminal.print_json({"dry_run": dry_run, **_facts(done), "left": left})
        return
    would = "would be " if dry_run else ""
    rows = [{"artifact": before[:12], **({} if dry_run else {"now": after[:12]})} for before, after in sorted(done.artifacts.items())]
    terminal.show(rows, f"{done.name}: {would}rewritten", as_json)
    if done.learned:
        terminal.show(
            [{"model": model[:12], "learned": how} for model, how in done.learned.items()], "models that learned from it", as_json
        )
    for line in [*_said(done, would), *(f"look at {place}: it holds or names it" for places in left.values() for place in places)]:
        terminal.console.print(line, markup=False, soft_wrap=True)


def _facts(done: Forgotten) -> dict[str, Any]:
    return {
        "kind": done.kind,
        "id": done.id,
        "at": done.at,
        "completions_removed": list(done.removed),
        "completions_blanked": list(done.blanked),
        "examples_removed": list(done.examples),
        "problems_removed": list(done.problems),
        "artifacts": dict(done.artifacts),
        "models": dict(done.learned),
    }


def _said(done: Forgotten, would: str) -> list[str]:
    counts = {"removed": len(done.removed), "left without content": len(done.blanked)}
    touched = [f"{count(number, 'completion')} {would}{what}" for what, number in counts.items() if number]
    touched += [f"{count(len(done.born), 'problem')} made of it {would}removed"] if done.born else []
    gone = " and ".join(touched) or f"no completion {would}touched"
    models = count(len(done.learned), "model")
    learned = f"{models} had learned from it; what is trained again has not" if done.learned else "no model learned from it"
    return [f"{gone}, {count(len(done.examples), 'example')} {would}removed; {learned}"]


def _still(home: Home, places: list[str]) -> list[str]:
    there = {row["place"] for row in exported.known(home)}
    return [place for place in places if place in there]
