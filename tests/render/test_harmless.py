"""Names can be anything; in no format do they steer, hide, run, link or call somebody."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from html.parser import HTMLParser
from io import StringIO
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from render import reports
from siteward.access.diagnostic import Severity, Span
from siteward.access.model import Power
from siteward.access.plan import UnmanagedAccount
from siteward.access.report import DriftItem, Report
from siteward.access.state import Origin
from siteward.render import FORMATS, Options, render
from siteward.render.safe import as_json, no_commands, show

STEERING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
NAMES = st.one_of(
    st.sampled_from(reports.HOSTILE),
    st.text(alphabet=st.characters(), max_size=30),
    st.text(alphabet="@#`|<>[]()*_~=+-:/\\\"'&!%{}$. \n\r\t\x1b\u202eaw1", max_size=20),
)
TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "h1", "h2", "h3", "p", "ul",
    "li", "span", "code", "pre", "br", "div", "table", "thead", "tbody", "tr", "th", "td", "a",
}  # fmt: skip
ATTRIBUTES = {
    "tabindex",
    "lang",
    "charset",
    "http-equiv",
    "content",
    "name",
    "class",
    "scope",
    "href",
    "id",
    "role",
    "data-label",
}


def variants() -> list[Report]:
    whole = reports.hostile()
    plan = replace(whole, outcomes=())
    return [whole, plan, replace(plan, command="drift", plan=None), replace(plan, command="validate", plan=None)]


def named(name: str) -> Report:
    """A report in which one name stands wherever a name can stand."""
    where = reports.site(name or "x")
    said = reports.said("rule", Severity.ERROR, f"{name} said", hint=name, suggestion=name, allowed=(name,))
    step = reports.step(
        1, reports.grant(name, where, "view"), reports.grant(name, where, name, name), person=name, said=(said,),
        at=Origin(Span(name, 1, 1), via=(name,), ticket=name, reason=name),
    )  # fmt: skip
    routine = replace(step, id="s2", diagnostics=())
    unmanaged_account = UnmanagedAccount(name=name, email=name, power=Power.ADMIN, facts={name: name})
    whole = reports.instance(step, routine, unmanaged=(unmanaged_account,), unreadable=(name,), diagnostics=(said,))
    drift = DriftItem(instance="stats", kind="undeclared", live=step.change.before, note=name)
    return Report(command="plan", plan=reports.plan(whole), drift=(drift,), diagnostics=(said,), next=name)


def assert_harmless(form: str, text: str) -> None:
    text.encode("utf-8")
    hidden = {char for char in text if unicodedata.category(char) in STEERING and char != "\n"}
    assert not hidden, f"{form} shows {hidden!r}"
    CHECKS.get(form, _json)(text)


def _text(text: str) -> None:
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    assert "##[" not in text


def _github(text: str) -> None:
    for line in text.splitlines():
        assert line.startswith("siteward: ") or re.match(r"::(error|warning|notice) [^:]*::", line), line
        assert "##[" not in line


def _csv(text: str) -> None:
    rows = list(csv.reader(StringIO(text)))
    assert len({len(row) for row in rows}) == 1
    for row in rows:
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell


def _json(text: str) -> None:
    json.loads(text)


def _junit(text: str) -> None:
    root = ET.fromstring(text)
    assert {element.tag for element in root.iter()} <= {
        "testsuites", "testsuite", "testcase", "failure", "system-out", "system-err", "properties", "property",
    }  # fmt: skip


def _markdown(text: str) -> None:
    assert len(text) <= 60_000
    for line in text.splitlines():
        _inert(line)


def _inert(line: str) -> None:
    """Take our own markup off a line; nothing that is left may mean anything."""
    bare = re.sub(r"<code>[^<>`@|]*</code>", "C", line)
    bare = re.sub(r"`[^`<>|]+`", "C", bare)
    if re.fullmatch(
        r"<!-- siteward:[\w.: -]* -->|<details><summary>[\w ,C-]+</summary>|</details>|(\| --- )+\||", bare
    ):
        return
    bare = re.sub(r"^(### |#### |- )", "", bare)
    bare = re.sub(r"\*\*[\w ,:❗⊘-]+\*\*", "B", bare)
    cells = bare[2:-2].split(" | ") if bare.startswith("| ") else [bare]
    for cell in cells:
        assert not re.search(r"[@#`|<>\[\]*_~\\!&$]|://|www\.", cell), f"{cell!r} in {line!r}"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        assert {name for name, _ in attrs} <= ATTRIBUTES, attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _html(text: str) -> None:
    page = _Page()
    page.feed(text)
    page.close()
    assert "script" not in {tag.lower() for tag in re.findall(r"<(\w+)", text)}


CHECKS = {
    "text": _text, "github": _github, "csv": _csv, "junit": _junit, "markdown": _markdown, "html": _html,
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("at", range(4))
def test_hostile_names_are_harmless(form: str, at: int) -> None:
    assert_harmless(form, render(form, variants()[at]))


@pytest.mark.parametrize(
    "options", [Options(plain=True), Options(verbose=True), Options(quiet=True), Options(group_by="site")]
)
def test_hostile_names_are_harmless_in_every_kind_of_text(options: Options) -> None:
    for report in variants():
        assert_harmless("text", render("text", report, options))


@pytest.mark.parametrize("form", FORMATS)
@given(name=NAMES)
def test_any_name_is_harmless(form: str, name: str) -> None:
    assert_harmless(form, render(form, named(name)))


@given(st.text(alphabet=st.characters(), max_size=20), st.text(alphabet=st.characters(), max_size=20))
def test_what_is_shown_is_one_line_and_tells_names_apart(first: str, other: str) -> None:
    assert len(show(first).splitlines()) <= 1
    assert (show(first) == show(other)) == (first == other)


@given(st.text(alphabet="\\xu1b\x1b\u202e0#[", max_size=8), st.text(alphabet="\\xu1b\x1b\u202e0#[", max_size=8))
def test_an_escape_is_never_taken_for_a_name_that_spells_it(first: str, other: str) -> None:
    assert (show(first) == show(other)) == (first == other)


@pytest.mark.parametrize("form", ["text", "csv", "html", "junit", "markdown"])
def test_a_long_name_is_never_cut(form: str) -> None:
    assert "n" * 300 in render(form, named("n" * 300))


def test_a_hidden_mark_cannot_be_closed_by_a_name() -> None:
    plan = reports.plan(replace(reports.instance(), instance="a --> <b>--"))
    first = render("markdown", Report(command="plan", plan=plan)).splitlines()[0]
    assert re.fullmatch(r"<!-- siteward:plan [\w.-]+ 7f3a91c20000 -->", first)
    assert "--" not in first[4:-3]


@pytest.mark.parametrize("text", ["##[add-path]x", "a ##vso[task.setvariable]x", "##VSO[x]"])
def test_no_command_of_a_runner_comes_through(text: str) -> None:
    assert "##" not in show(text)


@pytest.mark.parametrize("before", ["", "  ", "\x1b[1m", " \x1b[1;31m  ", "first\n\n  "])
def test_no_line_of_a_text_is_a_command(before: str) -> None:
    assert no_commands(f"{before}::stop-commands::x") == f"{before}\\x3a:stop-commands::x"


@pytest.mark.parametrize(
    "name", ["##[add-path]x", "###[x", "##vso[task.setvariable]x", "##VSO[x]", "#[", "plain # text"]
)
def test_json_commands_no_log_and_is_read_as_it_was(name: str) -> None:
    shown = as_json({"name": name}, 1)
    assert not re.search(r"##(\[|vso\[)", shown, re.IGNORECASE)
    assert json.loads(shown) == {"name": name}
    whole = render("json", named(name))
    assert not re.search(r"##(\[|vso\[)", whole, re.IGNORECASE)
