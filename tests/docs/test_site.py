"""The site as `make docs` built it, in a browser and without a network; skipped in words where it was not built."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome

SITE = Path(__file__).parents[2] / "build" / "site"
selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with its driver on this machine"),
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="the site is not built: make docs"),
]
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if path.name != "404.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    yield driver
    driver.quit()


def resize(browser: Chrome, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen_or_asks_the_network(browser: Chrome, width: int) -> None:
    """A wide table scrolls in its own box; what a page loads lies beside it."""
    resize(browser, width)
    for page in PAGES:
        browser.get((SITE / page).as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0, page
        loaded = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert [url for url in loaded if not url.startswith("file:")] == [], page
        complaints = [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]
        assert complaints == [], page


def test_the_search_finds_pages_that_are_opened_as_files(browser: Chrome) -> None:
    resize(browser, 1280)
    browser.get((SITE / "index.html").as_uri())
    browser.execute_script("document.querySelector('#__search').click()")
    field = browser.find_element("css selector", ".md-search__input")
    field.send_keys("journal")
    for _ in range(600):
        found = browser.find_elements("css selector", ".md-search-result__item")
        if found:
            break
        time.sleep(0.1)
    assert len(found) >= 5
