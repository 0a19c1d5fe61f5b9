"""Every page in a real browser, on a phone and on a desk, light and dark: nothing is cut, squeezed, pale or unreachable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from render.ledgers import AS_OF, hostile, small
from render.reports import REPORTS
from siteward.access.certification import Horizon, review
from siteward.render import Options, render
from siteward.render.matrix import Matrix
from siteward.render.matrix import page as matrix_page
from siteward.render.review_page import page as review_page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from selenium.webdriver import Chrome

FORGE = Options(blob="https://forge.example/acme/access/blob/a1b2c3d", run="https://forge.example/runs/7")
PHONE, TABLET, SCREEN, PAPER = 390, 820, 1280, 740
TAB = "\ue004"

_SQUEEZED = """
const seen = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
while (walk.nextNode()) {
  const node = walk.currentNode, up = node.parentElement, text = node.data.trim(), head = up.closest("thead");
  if (!text || up.closest("option, script, style, .site") || !up.getClientRects().length) continue;
  if (head && getComputedStyle(head).position === "absolute") continue;
  range.selectNode(node);
  const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size;
  if (lines > 2 && text.length / lines < 5) seen.push([up.tagName, text.slice(0, 40), lines]);
}
return seen;
"""
_PALE = """
const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
const behind = (e) => {
  for (let up = e; up; up = up.parentElement) {
    const found = parts(getComputedStyle(up).backgroundColor);
    if (found.length && (found.length < 4 || found[3] > 0)) return found;
  }
  return [255, 0, 255];
};
const pale = [];
for (const e of document.querySelectorAll("body *:not(option, script, style, noscript)")) {
  if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
  const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) pale.push([e.tagName, e.className, e.textContent.slice(0, 30), ratio]);
}
return pale;
"""
_OUTSIDE = """
return [...document.querySelectorAll("h1, h2, h3, th[role=rowheader], .person h2, li, p, input, select, button")]
  .filter((e) => e.getClientRects().length && !e.closest("#grid"))
  .filter((e) => e.getBoundingClientRect().left < 0 || e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((e) => [e.tagName, e.textContent.slice(0, 40)]);
"""


def two_instances() -> Matrix:
    first = small()
    second = replace(first, instance="a-second-instance-with-a-long-name", platform="matomo", last_seen=False)
    return Matrix(ledgers=(first, second), as_of=AS_OF)


def plan_page(name: str) -> str:
    return render("html", REPORTS[name](), FORGE)


PAGES: dict[str, Callable[[], str]] = {
    "matrix": lambda: matrix_page(two_instances()),
    "matrix-hostile": lambda: matrix_page(Matrix(ledgers=(hostile(),), as_of=AS_OF)),
    "review": lambda: review_page(review(two_instances().ledgers, Horizon(as_of=AS_OF))),
    "review-hostile": lambda: review_page(review((hostile(),), Horizon(as_of=AS_OF))),
    **{name: lambda name=name: plan_page(name) for name in REPORTS},  # type: ignore[misc]  # the name is bound at once
}


def show(
    browser: Chrome, folder: Path, text: str, *, width: int = SCREEN, scheme: str = "light", media: str = ""
) -> None:
    """Open a page as a file, in a window of that width."""
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    scheme_of = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": scheme_of})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    browser.get(path.as_uri())
    complaints = [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]  # selenium types most, not this
    assert not complaints


def overflow(browser: Chrome) -> int:
    script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return int(browser.execute_script(script))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, TABLET, SCREEN])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_window_and_is_read(
    browser: Chrome, tmp_path: Path, name: str, width: int, scheme: str
) -> None:
    """Nothing scrolls sideways or hangs out of the window, no column is a letter wide, every text stands out (4.5 : 1)."""
    show(browser, tmp_path, PAGES[name](), width=width, scheme=scheme)
    assert width - 20 < browser.execute_script("return document.documentElement.clientWidth") <= width  # a scrollbar
    assert overflow(browser) <= 0
    assert browser.execute_script(_OUTSIDE) == []
    assert browser.execute_script(_SQUEEZED) == []
    assert browser.execute_script(_PALE) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_on_paper(browser: Chrome, tmp_path: Path, name: str) -> None:
    """On a sheet of A4 no column hangs out or is a letter wide, and ink is dark on white."""
    show(browser, tmp_path, PAGES[name](), width=PAPER, scheme="dark", media="print")
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert overflow(browser) <= 0
    assert browser.execute_script(_OUTSIDE) == []
    assert browser.execute_script(_PALE) == []


def test_the_colours_are_two_schemes(browser: Chrome, tmp_path: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        show(browser, tmp_path, PAGES["review"](), scheme=scheme)
        grounds.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 23, 29)"]


@pytest.mark.parametrize(
    ("style", "script"),
    [
        ("table { min-width: 60rem }", "return document.documentElement.scrollWidth - 390"),
        ("td, th { display: table-cell; max-width: 1rem; overflow-wrap: anywhere }", _SQUEEZED),
        (".soft { color: #999 }", _PALE),
        ("h2 { margin-left: 30rem }", _OUTSIDE),
    ],
)
def test_these_checks_see_what_they_look_for(browser: Chrome, tmp_path: Path, style: str, script: str) -> None:
    """A page that is spoilt on purpose is found."""
    text = PAGES["review"]()
    start, end = text.index("<style>") + len("<style>"), text.index("</style>")
    policy = text.index("<meta http-equiv"), text.index('<meta name="viewport"')
    spoilt = f"{text[: policy[0]]}{text[policy[1] : start]}{text[start:end]}\n@media all {{ {style} }}{text[end:]}"
    show(browser, tmp_path, spoilt, width=PHONE)
    assert browser.execute_script(script)


@pytest.mark.parametrize("name", ["plan-everything", "review", "drift"])
@pytest.mark.parametrize("width", [PHONE, SCREEN])
def test_a_row_begins_with_whom_it_is_about(browser: Chrome, tmp_path: Path, name: str, width: int) -> None:
    """The person is the header of the row, in sight at the left; on a phone every other cell names its column."""
    show(browser, tmp_path, PAGES[name](), width=width)
    heads = browser.execute_script(
        "return [...document.querySelectorAll('tbody th')].map((e) => [e.getBoundingClientRect().left, e.textContent])"
    )
    assert heads
    assert all(0 <= left < PHONE / 2 and text for left, text in heads)
    labels = browser.execute_script(
        "return [...document.querySelectorAll('tbody td[data-label]:not(:empty)')].map((e) => "
        "getComputedStyle(e, '::before').content)"
    )
    assert {label == "none" for label in labels} == {width == SCREEN}


def test_the_id_is_the_last_cell_of_a_review(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, PAGES["review"]())
    last = "return [...document.querySelectorAll('main tbody tr')].map((e) => e.lastElementChild.className)"
    assert set(browser.execute_script(last)) == {"id"}


def test_places_link_to_their_lines_and_nothing_else_is_asked_for(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, PAGES["validate-errors"]())
    links = set(browser.execute_script("return [...document.querySelectorAll('a')].map((e) => e.href)"))
    assert links
    assert all(link.startswith("https://forge.example/acme/access/blob/a1b2c3d/") for link in links)
    asked = browser.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert asked == []


def test_headings_name_instance_and_site_in_full(browser: Chrome, tmp_path: Path) -> None:
    """Each column stands under its instance, and no name is cut."""
    show(browser, tmp_path, PAGES["matrix"]())
    groups = browser.execute_script(
        "return [...document.querySelectorAll('.instance')].map((e) => { const b = e.getBoundingClientRect(); "
        "return [e.textContent, b.left, b.right, e.firstChild.getBoundingClientRect().width <= b.width] })"
    )
    assert [name for name, *_ in groups] == ["stats", "a-second-instance-with-a-long-name"]
    assert all(fits for *_, fits in groups)
    sites = browser.execute_script(
        "return [...document.querySelectorAll('.site')].map((e) => { const b = e.getBoundingClientRect(), "
        "t = e.firstChild.getBoundingClientRect(), h = document.querySelector('.head').getBoundingClientRect(); return "
        "[e.title, e.textContent, b.left, b.right, t.top >= h.top && t.bottom <= h.bottom && t.width <= b.width + 1] })"
    )
    assert len(sites) == 8
    for title, text, left, right, whole in sites:
        group = next(group for group in groups if group[1] <= left + 1 and right <= group[2] + 1)
        assert title == f"{text} on {group[0]}"
        assert whole


def test_on_a_phone_each_person_has_a_list_of_rights(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, PAGES["matrix"](), width=PHONE)
    assert browser.execute_script("return document.querySelector('main').dataset.view") == "list"
    ben = browser.find_element("id", "person/ben").text
    assert ben.index("ben") < ben.index("stats") < ben.index("team-view-only on shop.example.org")
    assert "declared: team-member" in ben
    assert "a-second-instance-with-a-long-name" in ben


def test_an_address_leads_to_a_person_a_site_and_an_instance(browser: Chrome, tmp_path: Path) -> None:
    text = PAGES["matrix"]()
    for width, view in ((PHONE, "list"), (SCREEN, "grid")):
        show(browser, tmp_path, text, width=width)
        browser.execute_script("location.hash = '#person/li'")
        browser.execute_async_script("setTimeout(arguments[0], 100)")
        focused = browser.execute_script("return document.activeElement.id")
        assert focused == {"list": "person/li", "grid": "grid"}[view]
        if view == "grid":
            assert browser.find_element("id", "detail").text.startswith("li at ")
        browser.execute_script("location.hash = '#site/stats/docs.example.org'")
        browser.execute_async_script("setTimeout(arguments[0], 100)")
        chosen = browser.execute_script("return ['instance', 'sites'].map((id) => document.getElementById(id).value)")
        assert chosen == ["0", "docs.example.org"]


def test_a_broken_address_breaks_nothing(browser: Chrome, tmp_path: Path) -> None:
    drawn = "return document.querySelectorAll('.row .cell').length"
    show(browser, tmp_path, PAGES["matrix"]())
    before = browser.execute_script(drawn)
    for address in ("#%", "#person/nobody", "#site/none/none", "#instance/", "#person/%3Cimg%3E"):
        browser.execute_script("location.hash = arguments[0]", address)
        browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert browser.execute_script(drawn) == before > 0
    assert not browser.get_log("browser")  # type: ignore[no-untyped-call]  # selenium types most, not this


def test_the_keyboard_reaches_everything_in_order(browser: Chrome, tmp_path: Path) -> None:
    """The filters come first, then the table, then what the details link to; each shows that it has the focus."""
    show(browser, tmp_path, PAGES["matrix"]())
    visited = []
    for _ in range(12):
        browser.switch_to.active_element.send_keys(TAB)
        visited.append(
            browser.execute_script(
                "const e = document.activeElement; return [e.id || e.type || '', e.getAttribute('href') || '', "
                "getComputedStyle(e).outlineStyle]"
            )
        )
    assert [name for name, *_ in visited[:9]] == [
        "people", "sites", "instance", "power", "kind", "only", "view", "reset", "grid",
    ]  # fmt: skip
    assert [href.split("/")[0] for _, href, _ in visited[9:]] == ["#person", "#site", "#instance"]
    assert {outline for *_, outline in visited} <= {"solid", "auto"}


def test_what_is_live_by_the_platforms_rules_is_not_called_undeclared(browser: Chrome, tmp_path: Path) -> None:
    """A grant that stands without being declared shows as it is, and why it is no difference."""
    ledger = small()
    anna = ledger.entries[0]
    held = replace(anna.holdings[0], declared=None, origin=None, stands=True, why="every account has this role")
    ledger = replace(ledger, entries=(replace(anna, holdings=(held,)),))
    show(browser, tmp_path, matrix_page(Matrix(ledgers=(ledger,), as_of=AS_OF)))
    assert browser.execute_script("return document.querySelector('.cell').textContent") == "A"
    assert "admin, no difference · every account has this role" in browser.find_element("id", "detail").text


def test_paper_has_people_and_no_filters(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, PAGES["matrix"](), media="print", scheme="dark")
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    boxes = browser.execute_script(
        "return ['#paper', '#filters', '#grid'].map((s) => document.querySelector(s).getClientRects().length)"
    )
    assert boxes == [1, 0, 0]
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    first = browser.execute_script(
        "return [...document.querySelector('#paper tbody tr').cells].map((e) => e.textContent)"
    )
    assert first[:3] == ["anna", "stats", "whole instance"]
