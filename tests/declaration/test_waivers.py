"""Waivers of the files: what is said of their ends, and the edit that writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from declaration.tables import HEAD, read_text
from siteward.access.policy import Waiver
from siteward.declaration.waivers import add_waivers, judge_ends, waivers_of

if TYPE_CHECKING:
    from pathlib import Path

END = datetime(2027, 3, 2, tzinfo=UTC)
NEW = (
    Waiver(rule="ghost-member", on=("stats",), about="acl: shop", reason="as found: #1", until=END, ends="2027-03-01", seen="a" * 16),
    Waiver(rule="orphan-grant", on=("stats",), reason="yes", until=END, ends="2027-03-01", seen="12345e6789012345"),
)  # fmt: skip
ROW = "{rule: public-access, reason: press, until: 2027-01-31, seen: 1f0c9b2d77aa03e4}"
LAYOUTS = {
    "no policy": "users:\n  anna: {}  # the first\n\n# the end\n",
    "a short policy": "policy: {admins: {min: 1}}\nusers: {anna: {}}\n",
    "a long policy": "policy:\n  admins: {min: 1}\n\n# people\nusers: {anna: {}}\n",
    "an empty list": "policy:\n  waivers: []\n  admins: {min: 1}\n",
    "a list in brackets": f"policy:\n  waivers: [{ROW}]\n",
    "a list of lines": f"policy:\n  waivers:  # known\n    - {ROW}  # the press page\n# people\nusers: {{anna: {{}}}}\n",
    "the older form": f"policy:\n  waivers:\n  - {ROW}\n  - {ROW.replace('1f0c', '2f0c')}\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_waivers_are_added_and_all_else_stays(layout: str, tmp_path: Path) -> None:
    """In whatever layout the policy is: what was there is there still, comments too, and the new ones are as given."""
    text = HEAD + LAYOUTS[layout]
    before = read_text(tmp_path, text)
    assert before.declaration is not None
    known = [(waiver.rule, waiver.seen) for waiver in waivers_of(before.declaration)]
    (edited,) = add_waivers(before.declaration, NEW).texts.values()
    after = read_text(tmp_path, edited)
    assert after.declaration is not None, after.diagnostics
    found = waivers_of(after.declaration)
    assert [(waiver.rule, waiver.seen) for waiver in found] == [*known, *((one.rule, one.seen) for one in NEW)]
    assert [(waiver.on, waiver.about, waiver.reason, waiver.until, waiver.ends) for waiver in found[-2:]] == [
        (one.on, one.about, one.reason, one.until, one.ends) for one in NEW
    ]
    comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    assert all(f"#{comment}" in edited for comment in comments)
    assert add_waivers(after.declaration, NEW).texts == {}


def test_a_waiver_of_the_same_finding_is_renewed(tmp_path: Path) -> None:
    """It gets the new reason and end, and there is no second one."""
    before = read_text(tmp_path, HEAD + LAYOUTS["a list of lines"])
    assert before.declaration is not None
    again = Waiver(
        rule="public-access", on=("stats",), reason="still", until=END, ends="2027-03-01", seen="1f0c9b2d77aa03e4"
    )
    (edited,) = add_waivers(before.declaration, (again,)).texts.values()
    assert edited.count("seen:") == 1
    assert "reason: still, until: 2027-03-01" in edited
    assert "# the press page" in edited


def test_what_is_said_of_ends() -> None:
    """A day counts whole in every time zone; what ended in the past says so, what ends too late is an error."""
    now = datetime(2026, 12, 1, 12, tzinfo=UTC)
    ends = [timedelta(0), timedelta(minutes=1), timedelta(days=401), timedelta(days=401, minutes=1)]
    every = [
        Waiver(rule="public-access", reason="x", until=now + end, ends="a day", seen="1f0c9b2d77aa03e4") for end in ends
    ]
    assert [[said.code for said in judge_ends((one,), now, now)] for one in every] == [
        ["waiver-ended"], [], [], ["waiver-too-long"],
    ]  # fmt: skip
