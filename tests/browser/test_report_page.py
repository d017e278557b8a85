"""The report as people see it: on a desk and on a phone, light and dark, by keyboard, with and without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from lib.home import Home
from lib.report import page
from tests.browser.looking import SCREENSHOTS, browsing
from tests.report_home import build

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    home = Home(tmp_path_factory.mktemp("home"))
    build(home)
    path = tmp_path_factory.mktemp("report") / "report.html"
    page.write(home, "nightly", path)
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as found:
        yield found


def opened(browser: Browser, report: str, said: list[str], **settings: object) -> Page:
    """The report in a page of its own; what its console says, and what it asks for, is in `said`."""
    found = browser.new_context(**settings).new_page()
    found.set_default_timeout(120_000)
    found.on("console", lambda message: said.append(message.text))
    found.on("pageerror", lambda error: said.append(str(error)))
    found.on("request", lambda request: None if request.url in (report, "data:,") else said.append(request.url))
    found.goto(report)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_its_screen_runs_no_script_of_a_model_and_asks_for_nothing(browser: Browser, report: str, width: int, scheme: str):
    said: list[str] = []
    seen = opened(browser, report, said, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert seen.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.get_by_text("window.ran").count() > 0, "no planted text is shown, so this proves nothing"
    assert seen.evaluate("window.ran") is None
    assert seen.evaluate(CONTRAST) == []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    seen.screenshot(path=SCREENSHOTS / f"report-{width}-{scheme}.png", full_page=True)
    assert said == []
    seen.context.close()


def test_its_policy_forbids_scripts_that_are_not_its_own(browser: Browser, report: str):
    said: list[str] = []
    seen = opened(browser, report, said)
    seen.evaluate(
        """() => {
            const script = document.createElement("script"); script.textContent = "window.ran = 5"; document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<svg onload='window.ran = 6'></svg><img src=x onerror='window.ran = 7'>");
        }"""
    )
    seen.wait_for_timeout(200)
    assert seen.evaluate("window.ran") is None
    assert any("Content Security Policy" in line for line in said)
    seen.context.close()


def test_completions_are_filtered_and_paged_by_keyboard(browser: Browser, report: str):
    said: list[str] = []
    seen = opened(browser, report, said, viewport={"width": 1280, "height": 900})
    seen.keyboard.press("Tab")
    assert seen.evaluate("document.activeElement.className") == "skip"
    seen.keyboard.press("Enter")
    assert seen.evaluate("document.activeElement.id") == "main"

    shown = seen.locator(".completion:visible")
    assert shown.count() == 20
    assert seen.locator("#found").inner_text() == "200 completions"
    outcome = seen.get_by_label("Outcome")
    outcome.focus()
    assert seen.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    outcome.select_option("undecided")
    assert {*shown.evaluate_all("items => items.map((item) => item.dataset.outcome)")} == {"undecided"}
    outcome.select_option("")
    seen.locator("select[name=round]").select_option("4")
    seen.get_by_label("Search").fill("reaches the target")
    found = seen.locator("#found").inner_text()
    assert shown.count() <= 20 < 200
    assert {*shown.evaluate_all("items => items.map((item) => item.dataset.round)")} == {"4"}
    assert {*shown.evaluate_all("items => items.map((item) => item.dataset.outcome)")} == {"correct"}
    assert found.endswith(" completions")
    seen.get_by_label("Search").fill("no such words")
    assert (shown.count(), seen.locator("#found").inner_text()) == (0, "0 completions")
    seen.get_by_label("Search").fill("")
    seen.locator("select[name=round]").select_option("")
    first = shown.first.inner_text()
    seen.get_by_role("button", name="Next").press("Enter")
    assert shown.first.inner_text() != first
    assert seen.locator("#page").inner_text() == "page 2 of 10"
    details = shown.first.locator("summary")
    details.press("Enter")
    assert shown.first.get_by_text("written by").is_visible()
    assert said == []
    seen.context.close()


def test_a_model_of_the_lineage_leads_to_its_round(browser: Browser, report: str):
    said: list[str] = []
    seen = opened(browser, report, said)
    seen.locator("svg.tree a").nth(3).press("Enter")
    assert seen.url.endswith("#round-3")
    assert seen.locator("#round-3").is_visible()
    seen.context.close()


def test_without_scripts_everything_is_listed(browser: Browser, report: str):
    said: list[str] = []
    seen = opened(browser, report, said, java_script_enabled=False, viewport={"width": 360, "height": 800})
    assert seen.locator(".completion").count() == 200
    assert seen.locator(".completion").last.is_visible()
    assert not seen.locator("#filters").is_visible()
    seen.context.close()


CONTRAST = """() => {
    const channel = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const parsed = (text) => text.match(/[\\d.]+/g).map(Number);
    const behind = (element) => {
        for (let here = element; here; here = here.parentElement) {
            const found = parsed(getComputedStyle(here).backgroundColor);
            if (found.length < 4 || found[3] > 0) return found;
        }
        return [255, 255, 255];
    };
    const low = new Set();
    for (const element of document.querySelectorAll("p, td, th, h1, h2, h3, a, summary, dt, dd, pre, label, span, svg text")) {
        if (!element.textContent.trim() || !element.getClientRects().length || element.matches("svg a")) continue;
        const style = getComputedStyle(element);
        const ink = parsed(element instanceof SVGElement ? style.fill : style.color);
        const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) low.add(`${element.tagName}.${element.getAttribute("class")}`);
    }
    return [...low];
}"""
"""Every element whose text stands out less than WCAG's AA asks for, 4.5 to 1."""
