"""The matrix in a real browser: it draws, filters, moves by keyboard, and never holds more than what is in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from render.ledgers import AS_OF, hostile, large, small
from siteward.render.matrix import Matrix, page

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver import Chrome


def show(browser: Chrome, folder: Path, text: str) -> None:
    path = folder / "matrix.html"
    path.write_text(text, encoding="utf-8")
    browser.get(path.as_uri())
    complaints = [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]  # selenium types most, not this
    assert not complaints


def count(browser: Chrome, selector: str) -> int:
    return int(browser.execute_script("return document.querySelectorAll(arguments[0]).length", selector))


def names(browser: Chrome) -> list[str]:
    return list(browser.execute_script("return [...document.querySelectorAll('.who .name')].map((e) => e.textContent)"))


def ask(browser: Chrome, field: str, value: str) -> None:
    browser.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('input'))",
        field, value,
    )  # fmt: skip


def test_small_company(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, page(Matrix(ledgers=(small(),), as_of=AS_OF)))
    assert names(browser) == ["anna", "ben", "idle (stats)", "jonas", "li", "old-agency (stats)", "reports"]
    faces = browser.execute_script("return [...document.querySelectorAll('.cell')].map((e) => e.textContent)")
    assert sorted(filter(None, faces)) == sorted(["A", "M", "V→E", "V", "E*", "+V?", "\u2212A", "\u2212E", "V"])


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("people", "AGENCY", ["old-agency (stats)"]),
        ("people", "ben@example", ["ben"]),
        ("kind", "service", ["reports"]),
        ("power", "4", ["anna", "old-agency (stats)"]),
        ("only", "e", ["jonas"]),
        ("only", "p", ["li"]),
        ("only", "d", ["ben", "li", "old-agency (stats)"]),
        ("sites", "blog", ["ben", "li", "old-agency (stats)"]),
        ("people", "nobody", []),
    ],
)
def test_filters(browser: Chrome, tmp_path: Path, field: str, value: str, expected: list[str]) -> None:
    show(browser, tmp_path, page(Matrix(ledgers=(small(),), as_of=AS_OF)))
    ask(browser, field, value)
    assert names(browser) == expected


def test_keyboard_moves_and_tells(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, page(Matrix(ledgers=(small(),), as_of=AS_OF)))
    grid = browser.find_element("id", "grid")
    grid.send_keys("\ue015", "\ue014")  # down, right
    told = browser.find_element("id", "detail").text
    assert told.startswith("ben at blog.example.org on stats: team-view-only, as declared")
    assert grid.get_attribute("aria-activedescendant") == "here"
    grid.send_keys("\ue010")  # end
    assert "ben at shop.example.org" in browser.find_element("id", "detail").text


def test_only_what_is_in_sight_is_in_the_page(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, page(Matrix(ledgers=(large(2000, 500),), as_of=AS_OF)))
    for down, right in ((0, 0), (0.5, 0.5), (1, 0), (0, 1), (1, 1)):
        browser.execute_script(
            "const g = document.getElementById('grid');"
            "g.scrollTop = g.scrollHeight * arguments[0]; g.scrollLeft = g.scrollWidth * arguments[1]",
            down, right,
        )  # fmt: skip
        browser.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        )
        assert 10 < count(browser, ".row") < 100
        assert 5 < count(browser, ".site") < 100
        assert count(browser, ".cell") < 1000
    assert names(browser)[-1] == "user1999"


def test_hostile_names_are_only_text(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, page(Matrix(ledgers=(hostile(),), as_of=AS_OF)))
    assert count(browser, "main img, main script, main a:not([href^='#'])") == 0
    assert any("<script>alert(1)</script>" in name for name in names(browser))


def test_paper_gets_a_list(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, page(Matrix(ledgers=(small(),), as_of=AS_OF)))
    ask(browser, "only", "d")
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    listed = browser.execute_script("return [...document.querySelectorAll('#paper tbody tr')].length")
    assert listed == 5
