"""The pages for people hold together: links lead somewhere, promises have tests, words stand once and in order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "examples", "benchmarks")
PAGES = sorted({*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))})
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
PROMISE = re.compile(r"^\| (\d+) \| .+ \| (.+) \|$", re.MULTILINE)
TERM = re.compile(r"^- \*\*(.+?)\*\*: .+\.$")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return what a link may name within a page, as forges make it from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link names a file that is there, and a heading in it; none leads to an address that somebody made up."""
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("name", ["SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"])
def test_no_address_is_made_up(name: str) -> None:
    """Nobody is told to write to an address, or look at a page, that may not be ours."""
    assert not re.search(r"[\w.]+@[\w-]+\.\w+|https?://|mailto:", text(name))


def test_every_promise_has_its_tests() -> None:
    """Each stands in SECURITY.md, with folders that are there and a test of that number, and as many in the README."""
    promised = re.findall(r"^(\d+)\. ", text("docs/promises.md"), re.MULTILINE)
    short = text("README.md").partition("## What is promised")[2].partition("\n## ")[0]
    rows = dict(PROMISE.findall(text("SECURITY.md")))
    assert (
        list(rows)
        == promised
        == re.findall(r"^(\d+)\. ", short, re.MULTILINE)
        == [str(number) for number in range(1, 15)]
    )
    tests = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "tests" / "promises").glob("test_*.py"))
    for number, cell in rows.items():
        folders = re.findall(r"`([^`]+)`", cell)
        assert folders[0] == "tests/promises"
        assert all(list((ROOT / folder).rglob("test_*.py")) for folder in folders), cell
        assert f"def test_{number}_" in tests, f"promise {number} has no test"


def test_words_stand_in_order_and_once() -> None:
    """The glossary gives each word one line, sorted."""
    lines = [line for line in text("docs/glossary.md").splitlines() if line.startswith("-")]
    found = [TERM.match(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    words = [match[1].lower() for match in found if match]
    assert words == sorted(set(words))


def test_the_readme_leads_to_every_page() -> None:
    """No page is left to be found by accident."""
    readme = set(LINK.findall(text("README.md")))
    wanted = {str(page.relative_to(ROOT)) for page in PAGES if page.parent in {ROOT, ROOT / "docs"}} - {"README.md"}
    assert wanted <= readme


def test_the_architecture_has_the_rooms_that_the_house_test_keeps() -> None:
    """The table of rooms, and of what each may import, is the one that is enforced."""
    from test_house import FLOORS

    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|.*\|.*\|$", text("docs/architecture.md"), re.MULTILINE)
    words = {"nothing": frozenset(), "all of these but `render`": FLOORS["reconcile"], "all": FLOORS["cli"]}
    said = {room: words[cell] if cell in words else set(re.findall(r"`(\w+)`", cell)) for room, cell in rows}
    assert said == FLOORS
