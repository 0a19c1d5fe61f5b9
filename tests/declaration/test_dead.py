"""Lines that have ended, or can never hold: they are named with why, and lines that may hold are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from declaration.tables import HEAD, declared, read_text
from siteward.declaration.dead import find_dead_lines, tell
from siteward.declaration.rewrite import decide
from siteward.reconcile.project import read as project_read
from strategies import NOW

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = """\
policy: {timezone: Europe/Berlin}
users:
  anna: {}
  ben: {until: 2026-12-31}
  gone: {until: 2025-10-31}
  later: {from: 2027-03-01}
groups:
  both: [anna, gone]
  past: [gone, {user: anna, until: 2025-11-01}]
  early: [{user: later, until: 2027-01-31}]
"""


def dead(folder: Path, line: str, more: str = "", *, head: str = HEAD) -> list[tuple[str, str]]:
    """Return what is said of a line of `grants`."""
    text = head + PEOPLE + more + f"grants:\n  - {{{line}, role: view, sites: shop.example.org}}\n"
    return [(found.what, found.why) for found in find_dead_lines(declared(folder, text), NOW) if "`" in found.what]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("to: anna, until: 2025-11-01", "ended 2025-11-01"),
        ("to: [anna, ben], until: '2025-11-01T12:00:00Z'", "ended 2025-11-01T13:00:00+01:00"),
        ("to: ben, from: 2027-01-01", "can never hold: it would begin 2027-01-01, and the time of whom it names ends 2026-12-31"),
        ("to: later, until: 2027-02-28", "can never hold: it would begin 2027-03-01, and the time of whom it names ends 2027-02-28"),
        ("to: gone", "whom it names ended by 2025-10-31"),
        ("to: past", "all 2 whom it names ended by 2025-11-01"),
        ("to: early", "can never hold: it would begin 2027-03-01, and the time of whom it names ends 2027-01-31"),
        ("to: both", None),
        ("to: anna", None),
        ("to: later", None),
        ("to: anna, from: 2027-01-01", None),
        ("to: ben, from: 2026-12-31", None),
        ("to: [gone, anna]", None),
    ],
)  # fmt: skip
def test_a_line_is_dead_when_it_can_hold_for_nobody(tmp_path: Path, line: str, why: str | None) -> None:
    assert [said for _, said in dead(tmp_path, line)] == ([why] if why else [])


def test_memberships_are_named_with_their_place(tmp_path: Path) -> None:
    text = HEAD + PEOPLE + "grants: []\n"
    lines = find_dead_lines(declared(tmp_path, text), NOW)
    assert [(line.what, line.at.line) for line in lines] == [
        ("gone in group both", 11), ("gone in group past", 12), ("anna in group past", 12), ("later in group early", 13),
    ]  # fmt: skip
    assert {note.code for note in tell(lines)} == {"dead-line"}


def test_a_group_of_the_platform_has_its_grant_whoever_is_in_it(tmp_path: Path) -> None:
    head = 'version: 1\ninstances: {pro: {platform: piwik-pro, url: "https://p.example.org", self: root@example.org, native: true}}\n'
    text = head + (
        "users: {gone: {email: gone@example.org, until: 2025-10-31}}\ngroups: {past: [gone]}\n"
        "grants: [{to: past, role: view, sites: shop.example.org}]\n"
    )
    assert [line.what for line in find_dead_lines(declared(tmp_path, text), NOW)] == ["gone in group past"]


def test_a_line_in_error_or_about_one_is_not_called_dead(tmp_path: Path) -> None:
    text = HEAD + PEOPLE.replace("ben: {until", "ben: {kind: king, until").replace("gone: {", "gone: {emial: x, ")
    loaded = read_text(
        tmp_path,
        text + "grants:\n  - {to: [gone, xavier], role: view, sites: shop.example.org}\n"
        "  - {to: ben, role: view, sites: shop.example.org, from: 2027-01-01}\n",
    )
    assert loaded.usable is not None
    assert {line.what for line in find_dead_lines(loaded.usable, NOW)} == {
        "anna in group past", "later in group early",
    }  # fmt: skip


def test_members_go_and_the_comments_around_them_stay(tmp_path: Path) -> None:
    """In lists of a line each, in brackets, and where one name stands alone."""
    text = (
        HEAD + "users:\n  ben: {}\n  zoe: {until: 2026-01-31}\ngroups:\n  readers: [ben, zoe]\n  block:\n    # first\n"
        "    - {user: zoe, until: 2025-02-01}   # dead\n    # second\n    - BEN\n  gone:\n    - zoe\n  alone: zoe\n"
        "grants:\n  # mine\n  - {to: [readers, block], role: view, sites: b.example.org}\n  # over\n"
        "  - {to: [gone, alone], role: view, sites: b.example.org}\n"
    )
    found = declared(tmp_path, text)
    edit = decide(found, (), {}, "the review", seen=frozenset(), dead=find_dead_lines(found, NOW))
    (after,) = edit.texts.values()
    assert after.splitlines()[6:] == [
        "groups:", "  readers: [ben]", "  block:", "    # first", "    # second", "    - BEN", "  gone: []", "  alone: []",
        "grants:", "  # mine", "  - {to: [readers, block], role: view, sites: b.example.org}", "  # over",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("group", "left"),
    [
        ("{members: zoe}", "{members: []}"),
        ("{members: [zoe]}", "{members: []}"),
        ("{members: [ben, zoe], owner: ben}", "{members: [ben], owner: ben}"),
        ("{members: [{user: zoe}], native: G}", "{members: [], native: G}"),
    ],
)
def test_a_member_goes_from_a_group_in_its_long_form(tmp_path: Path, group: str, left: str) -> None:
    text = HEAD + f"users: {{ben: {{}}, zoe: {{until: 2026-01-31}}}}\ngroups:\n  g: {group}\ngrants: []\n"
    found = declared(tmp_path, text)
    edit = decide(found, (), {}, "the review", seen=frozenset(), dead=find_dead_lines(found, NOW))
    assert [*edit.texts.values()] == [text.replace(group, left)]


MATOMO = (
    'version: 1\ninstances: {eu: {platform: matomo, url: "https://m.example.org", self: root}}\nusers: {anna: {}}\n'
)


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("roles: {author: {matomo: {role: edit, extras: []}}}\n", 4),
        ("roles: {author: {matomo: {role: matomo:write, extras: []}}}\n", 4),
        ("grants:\n  - {to: anna, role: edit, sites: a.example.org, extras: []}\n", 5),
        ("grants:\n" + "  - {to: anna, role: matomo:write, sites: a.example.org, extras: []}\n" * 3, 5),
        ("roles: {author: {matomo: {role: edit, extras: [tagmanager_write]}}}\n", None),
        ("roles: {author: {matomo: {role: view, extras: []}}}\n", None),
        ("roles: {author: {matomo: edit}}\n", None),
        ("grants:\n  - {to: anna, role: edit, sites: a.example.org}\n", None),
        ("roles: {owner: {matomo: {role: manage, extras: []}}}\n", None),
    ],
)
def test_a_role_without_extras_says_what_it_brings_along(tmp_path: Path, rest: str, line: int | None) -> None:
    """Matomo's `write` includes the tag manager: `extras: []` reads as the opposite."""
    found = project_read(_write(tmp_path, MATOMO + rest)).diagnostics
    assert [(note.code, note.at.line if note.at else 0) for note in found] == (
        [("edit-brings-tags", line)] if line else []
    )


def _write(folder: Path, text: str) -> Path:
    path = folder / "access.yaml"
    path.write_text(text)
    return path
