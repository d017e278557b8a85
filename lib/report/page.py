"""A campaign's report, or a comparison, as one HTML page that asks the network for nothing; the only module that imports jinja2.

Whatever a model wrote is escaped by the template engine. The page's own policy lets no script and no style run but the two
that stand in it, by their digests, and lets nothing be loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from lib.campaign import CampaignFolder
from lib.errors import UserError
from lib.files import write_atomically
from lib.home import Home
from lib.report import words
from lib.report.comparing import drawn
from lib.report.facts import gather

TEMPLATES = Path(__file__).parent / "templates"


def place(folder: CampaignFolder) -> Path:
    """Where a campaign's page stands unless told otherwise: beside its records."""
    return folder.path / "report.html"


def write(home: Home, campaign: str, out: Path) -> dict[str, Any]:
    """Write a campaign's page, aside and then renamed, and return the facts that it shows. Raises UserError where it cannot."""
    facts = gather(home, campaign)
    text = render(facts)
    try:
        write_atomically(out, text)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}; give another place with --out FILE.html") from None
    return facts


def write_comparison(facts: dict[str, Any], out: Path) -> None:
    """Write the page of a comparison, aside and then renamed."""
    write_atomically(out, render_comparison(facts))


def render(facts: dict[str, Any]) -> str:
    """The page of these facts: the same facts give the same bytes."""
    return _rendered("page.html", "behaviour.js", facts)


def render_comparison(facts: dict[str, Any]) -> str:
    """The page of what a comparison found (lib.side_by_side); it has no script."""
    return _rendered("comparison.html", None, drawn(facts))


def _rendered(template: str, behaviour: str | None, facts: dict[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {name: getattr(words, name) for name in ("amount", "count", "listed", "signed", "spoken", "tight", "visible")}
    style, script = (Markup((TEMPLATES / name).read_text(encoding="utf-8")) if name else "" for name in ("style.css", behaviour))
    own = f"style-src {_allowed(style)}; script-src {_allowed(script) if script else NOTHING}; img-src data:"
    policy = f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"
    return environment.get_template(template).render(**facts, style=style, script=script, policy=policy).lstrip()


NOTHING = "'none'"


def _allowed(text: str) -> str:
    """An inline text as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
