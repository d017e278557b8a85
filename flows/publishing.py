"""What `roundhouse publish` does: take to MLflow what waits in the outbox, and say what it took and what still waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from flows.terminal import console, print_json, show
from lib import events
from lib import home as homes
from lib.addresses import shown
from lib.errors import RoundhouseError
from lib.publisher import Waiting
from lib.publisher import publish as take

WORDS = {
    "campaign": "beginning",
    "round": "round",
    "evaluate": "measurement",
    "final": "end",
    "report": "report",
    "forget": "note of what was forgotten",
}
"""Kind of event → what it is called where they are counted."""


def publish(as_json: bool) -> None:
    """Empty the outbox. Raises RoundhouseError if MLflow took not everything."""
    home = homes.current()
    published = take(home.outbox, home.mlflow_uri, home.prefect_pages)
    to = shown(home.mlflow_uri)
    if as_json:
        waiting = [{"campaign": w.campaign, "event": w.what, "why": w.why} for w in published.waiting]
        print_json({"to": to, "published": [events.title(event) for event in published.taken], "waiting": waiting})
    else:
        for line in (f"{published.count} events published to {to}", *_counted(published.taken)):
            console.print(line, markup=False, soft_wrap=True)
        if published.waiting:
            show(_rows(published.waiting), "still waits", as_json)
    if published.failed:
        named = next((w.what for w in published.waiting if w.why), "")
        still = "1 event still waits" if published.failed == 1 else f"{published.failed} events still wait"
        raise RoundhouseError(f"{still}, from {named} on: {published.reason}")


def _counted(taken: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each campaign."""
    kinds: dict[str, Counter[str]] = {}
    for event in taken:
        kinds.setdefault(str(event["campaign"]), Counter())[WORDS[event["kind"]]] += 1
    return [
        f"  {campaign}: " + ", ".join(f"{n} {word}" + ("s" if n > 1 and " " not in word else "") for word, n in found.items())
        for campaign, found in kinds.items()
    ]


def _rows(waiting: Iterable[Waiting]) -> list[dict[str, str]]:
    return [{"event": w.what, "why": w.why or "comes after one above"} for w in waiting]
