"""One look at a page as a person sees it: the system's Chromium without a window, and a screenshot of what it showed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
"""Kept after the tests, and ignored by git."""

PATIENCE_MS = 240_000
"""How long a page may take to show what is looked for, on a machine that does much else."""


class Look:
    """A page that is open, and the hosts that it asked for anything."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.hosts: set[str | None] = set()
        page.context.set_default_timeout(PATIENCE_MS)
        page.context.on(
            "request", lambda request: self.hosts.update({urlsplit(request.url).hostname} - {None})
        )  # data: and blob: have none

    def follow(self, words: str) -> None:
        """Click a link that opens a page of its own, and look at that from now on; the page before is closed."""
        before = self.page
        with before.context.expect_page() as opened:
            before.locator("a[target=_blank]").get_by_text(words, exact=True).locator("visible=true").first.click()
        self.page = opened.value
        self.page.bring_to_front()
        before.close()

    def sees(self, text: str) -> None:
        """Wait until the page shows a text; fails where it does not come."""
        self.page.get_by_text(text).locator("visible=true").first.wait_for()

    def keep(self, name: str) -> Path:
        """Take a screenshot."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
        return SCREENSHOTS / f"{name}.png"


def chromium() -> str:
    """The system's browser; without one, or without playwright, the test is skipped."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -c constraints.txt -e '.[dev]'")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium is installed; on Debian: apt install chromium")
    return found


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser."""
    program = chromium()
    from playwright.sync_api import sync_playwright

    args = ["--no-sandbox"] if os.geteuid() == 0 else []  # its sandbox refuses to run as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=args)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def looking(width: int = 1400, height: int = 1000) -> Iterator[Look]:
    """A browser with one empty page, as large as said in pixels."""
    with browsing() as browser:
        yield Look(browser.new_context(viewport={"width": width, "height": height}).new_page())
