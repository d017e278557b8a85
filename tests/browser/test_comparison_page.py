"""The page of a comparison as people see it: on a desk and on a phone, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from lib.report import page
from lib.side_by_side import found
from tests.browser.looking import SCREENSHOTS, browsing
from tests.browser.test_report_page import CONTRAST, opened
from tests.comparison_courses import comparison, courses

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    asked = comparison(recipes=("good", *(f"poor_{number}" for number in range(7))), budget_tokens=100_000)
    path = tmp_path_factory.mktemp("comparison") / "comparison.html"
    page.write_comparison(found(asked, courses(asked), {}), path)
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as found:
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_its_screen_reads_well_and_asks_for_nothing(browser: Browser, written: str, width: int, scheme: str):
    said: list[str] = []
    seen = opened(browser, written, said, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert seen.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.evaluate(CONTRAST) == []
    assert seen.locator("svg.chart").count() == 4
    colours = seen.locator("g.series >> nth=0 >> path.joined").evaluate("line => getComputedStyle(line).stroke")
    assert colours not in ("none", "rgb(0, 0, 0)")
    assert seen.locator("#pairs details[open]").count() == 1
    seen.locator("#pairs summary").nth(1).press("Enter")
    assert seen.locator("#pairs details[open]").count() == 2
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    seen.screenshot(path=SCREENSHOTS / f"comparison-{width}-{scheme}.png", full_page=True)
    assert said == []
    seen.context.close()
