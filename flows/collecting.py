"""What `roundhouse gc` does: remove what nothing needs any more, and say what, why and how much room that makes."""

from __future__ import annotations

import shutil
from typing import Any

from rich.filesize import decimal

from flows import terminal
from lib import garbage
from lib import home as homes
from lib.garbage import Garbage


def gc(keep: int, *, dry_run: bool, as_json: bool) -> None:
    """Collect, or only say what could go."""
    home = homes.current()
    found = garbage.find(home, keep) if dry_run else garbage.collect(home, keep)
    rows, freed, free = [_row(item) for item in found], sum(item.bytes for item in found), shutil.disk_usage(home.root).free
    if as_json:
        terminal.print_json({"dry_run": dry_run, "rows": rows, "freed_bytes": freed, "free_bytes": free})
        return
    if rows:
        terminal.show([{**_shown(row), "why": row["why"]} for row in rows], "would go" if dry_run else "gone", as_json)
    verb, now = ("would free", "are") if dry_run else ("freed", "are now")
    said = f"{verb} {decimal(freed)}" if rows else "nothing to collect"
    terminal.console.print(f"{said}; {decimal(free)} {now} free on this disk", markup=False, soft_wrap=True)


def _row(item: Garbage) -> dict[str, Any]:
    maker = item.maker
    return {
        "what": item.what,
        "name": item.name,
        "campaign": maker.campaign if maker else None,
        "round": maker.round if maker and item.what == "weights" else None,
        "bytes": item.bytes,
        "why": item.why,
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    name = row["name"].rpartition("/")[2][:8]
    return {"what": f"{row['what']} {name}", "campaign": row["campaign"], "round": row["round"], "MB": round(row["bytes"] / 1e6, 1)}
