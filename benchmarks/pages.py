"""The matrix of 2,000 people on 500 sites in a real browser: what it draws, and for how long it keeps the page busy.

A long task is what browsers call one: 50 ms or more in which nothing else can be done. The ledger is the one that the
tests of the page use.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from siteward.render.matrix import Matrix, page

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from render.ledgers import AS_OF, large

PEOPLE, SITES, STOPS = 2_000, 500, 40
_TASKS = """
const done = arguments[0];
new PerformanceObserver((list) => done(list.getEntries().map((each) => each.duration)))
  .observe({type: "longtask", buffered: true});
setTimeout(() => done([]), 1000);
"""
_SCROLL = """
const [stops, done] = arguments, grid = document.getElementById("grid"), tasks = [], rows = [];
new PerformanceObserver((list) => tasks.push(...list.getEntries().map((each) => each.duration)))
  .observe({entryTypes: ["longtask"]});
let at = 0;
const step = () => {
  rows.push(document.querySelectorAll(".row").length);
  if (at > stops) return setTimeout(() => done([tasks, Math.max(...rows)]), 300);
  grid.scrollTop = grid.scrollHeight * at / stops;
  grid.scrollLeft = grid.scrollWidth * at++ / stops;
  requestAnimationFrame(() => setTimeout(step, 20));
};
step();
"""


@dataclass(frozen=True)
class Seen:
    """What a browser told: the long tasks of opening and of scrolling in milliseconds, the most rows, the page's bytes."""

    opening: list[float]
    scrolling: list[float]
    rows: int
    size: int


def measure(folder: Path) -> Seen:
    """Open the page and scroll it from corner to corner; raises `FileNotFoundError` where there is no browser."""
    from selenium import webdriver  # noqa: PLC0415 — of all benchmarks only this one drives a browser

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        raise FileNotFoundError("no chromium with its driver on this machine")
    path = folder / "matrix.html"
    path.write_text(page(Matrix(ledgers=(large(PEOPLE, SITES),), as_of=AS_OF)), encoding="utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        browser.get(path.as_uri())
        opening = browser.execute_async_script(_TASKS)
        scrolling, rows = browser.execute_async_script(_SCROLL, STOPS)
    finally:
        browser.quit()
    return Seen(opening=opening, scrolling=scrolling, rows=rows, size=path.stat().st_size)
