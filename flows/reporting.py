"""What `roundhouse report` does: write a campaign's page, and say where it is and what it says first."""

from __future__ import annotations

import os
from pathlib import Path

from flows import terminal
from lib import home as homes
from lib.campaign import CampaignFolder
from lib.errors import UserError
from lib.report import page


def report(name: str, out: str | None, as_json: bool) -> None:
    """Write the page of a campaign."""
    home = homes.to_read()
    target = Path(out).expanduser() if out else page.place(CampaignFolder(home, name))
    if target.is_dir():
        raise UserError(f"{target} is a folder; give the name of a file in it: --out {target / 'report.html'}")
    if target.parent.is_dir() and not os.access(target.parent, os.W_OK):
        raise UserError(f"cannot write {target}: its folder may not be written to; give another place with --out FILE.html")
    facts = page.write(home, name, target)
    told = [line for line in (facts["lead"], *facts["summary"]) if line]
    if as_json:
        terminal.print_json({"campaign": name, "report": str(target), "summary": told})
        return
    for line in (*told, "", f"The report is {target}"):
        terminal.console.print(line, markup=False, soft_wrap=True)
