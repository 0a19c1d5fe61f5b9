"""The comment as forges draw it: rendered by GitHub's own parser, with the options of GitHub's comments and of GitLab's."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from render.reports import REPORTS, hostile
from siteward.access.report import Report
from siteward.render import Options, render
from siteward.render.markdown_escape import code, prose, table

if TYPE_CHECKING:
    from collections.abc import Callable

cmarkgfm = pytest.importorskip("cmarkgfm", reason="cmarkgfm is not installed")

FORGE = Options(blob="https://forge.example/acme/access/blob/a1b2c3d", run="https://forge.example/runs/7")
EXTENSIONS = ("table", "autolink", "strikethrough", "tagfilter", "tasklist")
_VOID = {"br", "hr", "img", "input"}


def github(text: str) -> str:
    """A comment on GitHub: each line break is one, and raw HTML stays but for dangerous tags."""
    options = cmarkgfm.cmark.Options
    flags = options.CMARK_OPT_UNSAFE | options.CMARK_OPT_HARDBREAKS | options.CMARK_OPT_GITHUB_PRE_LANG
    return str(cmarkgfm.markdown_to_html_with_extensions(text, flags, EXTENSIONS))


def gitlab(text: str) -> str:
    """A note on GitLab: footnotes are on, and line breaks are blanks."""
    options = cmarkgfm.cmark.Options
    flags = options.CMARK_OPT_UNSAFE | options.CMARK_OPT_FOOTNOTES | options.CMARK_OPT_SMART
    return str(cmarkgfm.markdown_to_html_with_extensions(text, flags, EXTENSIONS))


class Drawn(HTMLParser):
    """What a reader sees: texts, code, links, tags, and the cells of each row of a table."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.codes: list[str] = []
        self.rows: list[int] = []
        self.folds: list[set[str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in _VOID:
            self.open.append(tag)
        for fold in self.folds if "details" in self.open else ():
            fold.add(tag)
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")
        if tag == "details":
            self.folds.append(set())
        if tag == "code":
            self.codes.append("")
        if tag == "tr":
            self.rows.append(0)
        if tag in {"td", "th"}:
            self.rows[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "code" in self.open:
            self.codes[-1] += data


@pytest.mark.parametrize("draw", [github, gitlab])
@pytest.mark.parametrize("name", REPORTS)
def test_a_comment_is_drawn_as_it_is_meant(name: str, draw: Callable[[str], str]) -> None:
    """No backquote, table border or tag of ours is left to see; elements close, rows are whole, folds hold their parts."""
    drawn = Drawn(draw(render("markdown", REPORTS[name](), FORGE)))
    assert not drawn.open
    assert not re.search(r"[`|<>]|\*\*|&#", drawn.text), drawn.text
    assert len(set(drawn.rows)) <= 12
    assert all(fold & {"table", "ul", "p"} for fold in drawn.folds)
    assert "h3" in drawn.tags
    assert all(link.startswith("https://forge.example/") for link in drawn.links)


def test_places_are_links_to_their_lines_and_the_run_is_named() -> None:
    report = REPORTS["plan-everything"]()
    drawn = Drawn(github(render("markdown", report, FORGE)))
    assert "https://forge.example/runs/7" in drawn.links
    assert report.plan is not None
    lines = {link for link in drawn.links if "#L" in link}
    assert lines
    assert all(link.startswith(f"{FORGE.blob}/") for link in lines)
    assert "access.yaml:14" in drawn.codes or any(code.startswith("access.yaml:") for code in drawn.codes)


def test_without_a_forge_there_is_no_link() -> None:
    assert Drawn(github(render("markdown", REPORTS["plan-everything"]()))).links == []


@pytest.mark.parametrize("draw", [github, gitlab])
@pytest.mark.parametrize("command", ["plan", "apply", "drift", "validate"])
def test_hostile_names_stay_text(command: str, draw: Callable[[str], str]) -> None:
    """Nothing a name holds becomes a link, an image, a heading or a tag."""
    whole = hostile()
    report = Report(command=command, plan=whole.plan, drift=whole.drift, diagnostics=whole.diagnostics)
    drawn = Drawn(draw(render("markdown", report)))
    assert not drawn.open
    assert [link for link in drawn.links if not link.startswith("mailto:")] == []
    assert drawn.tags <= {
        "h3", "p", "ul", "li", "strong", "code", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "br",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["o'brien@example.org", "jörg@example.org", "a!b@example.org", "team@example.org", "x{y}@example.org"]
)
def test_an_address_is_code_and_no_link(name: str) -> None:
    for draw in (github, gitlab):
        drawn = Drawn(draw(table(("who",), ((code(name),),))))
        assert drawn.links == []
        assert drawn.codes == [name]


@pytest.mark.parametrize("moment", ["2026-12-01 12:00+01:00", "2026-12-01 12:00+01:00;", "2026-12-01 11:00Z"])
def test_a_moment_is_one_text(moment: str) -> None:
    """A time in the policy's zone is a word of a sentence like any other."""
    drawn = Drawn(github(prose(f"carried out for {moment}")))
    assert drawn.codes == []
    assert moment in drawn.text
