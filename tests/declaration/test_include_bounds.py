"""What an included file may grant on: what is beyond is told where it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from declaration.tables import HEAD, read_text
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Scope, Subject
from siteward.access.state import Live, Memory, Site
from siteward.declaration.resolve import resolve
from strategies import NOW, UMAMI

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.diagnostic import Diagnostic

TEXT = """\
version: 1
instances:
  pp: {platform: piwik-pro, url: "https://acme.piwik.pro", native: true}
users:
  anna: {email: anna@example.org}
include:
  - {path: team.yaml, sites: ["shop.*"]}
"""


@pytest.mark.parametrize("key", ["sites", "metasites"])
def test_a_grant_beyond_an_includes_bounds_is_told_at_its_place(tmp_path: Path, key: str) -> None:
    """At the very entry, on sites and on metasites, and with what is allowed."""
    team = f"grants:\n  - to: anna\n    role: view\n    {key}:\n      - shop.example.org\n      - blog.example.org\n"
    loaded = read_text(tmp_path, TEXT, team=team)
    beyond = [found for found in loaded.diagnostics if found.code == "beyond-include"]
    assert [(found.at.line, found.at.column) for found in beyond if found.at] == [(6, 9)]
    assert beyond[0].allowed == ("shop.*",)


BOUNDED = HEAD + "include: [{path: team.yaml, sites: ['shop.*'], at_most: edit}]\ngrants: []\n"
SHOP, NEWS = Scope("site", "shop.example.org"), Scope("site", "news.example.org")
PETRA = Subject("account", "petra")


def taken(folder: Path, team: str, *held: Grant, root: str = BOUNDED, memory: Memory | None = None) -> list[Diagnostic]:
    """Return what is told of an account that holds this where a file with bounds declares it."""
    loaded = read_text(folder, root, team=team)
    assert loaded.declaration is not None, loaded.diagnostics
    sites = {scope: Site(id=scope.name, label=scope.name, domains=(scope.name,)) for scope in (SHOP, NEWS)}
    live = Live(access=Access((Account("petra"), *held)), sites=sites, me="siteward")
    found = resolve(loaded.declaration, "stats", UMAMI, live, as_of=NOW, memory=memory)
    assert all(said.code == "beyond-include" for said in found.beyond.values())
    return [*found.beyond.values()]


@pytest.mark.parametrize(
    "team", ["users: {petra: {}}\n", "users: {petra: {state: suspended}}\n", "users: {zoe: {logins: {stats: petra}}}\n"]
)
def test_a_file_with_bounds_takes_nothing_beyond_them_from_an_account_it_finds(tmp_path: Path, team: str) -> None:
    """A declared account is managed whole: else a line for somebody would end what the file could never give."""
    held = [Grant(PETRA, NEWS, "team-view-only"), Grant(PETRA, SHOP, "team-member"), Grant(PETRA, EVERYWHERE, "admin")]
    found = taken(tmp_path, team, *held)
    assert {said.about for said in found} == {held[0].key, held[2].key}
    assert all(said.blocks and said.at is not None and said.at.file.endswith("team.yaml") for said in found)
    assert taken(tmp_path, team, held[1]) == []
    lingers = taken(tmp_path, team, Grant(PETRA, EVERYWHERE, "user"))
    assert bool(lingers) == ("suspended" in team), "what silence leaves alone is nothing to refuse"


def test_what_is_more_than_a_file_may_give_it_may_not_take(tmp_path: Path) -> None:
    """On a site within its bounds, too; what the root file grants stays, and takes nothing by that."""
    manages = Grant(PETRA, SHOP, "team-manager")
    assert [said.about for said in taken(tmp_path, "users: {petra: {}}\n", manages)] == [manages.key]
    kept = BOUNDED.replace("grants: []", "grants: [{to: petra, role: manage, sites: shop.example.org}]")
    assert taken(tmp_path, "users: {petra: {}}\n", manages, root=kept) == []


def test_what_no_plan_looks_at_is_nothing_to_refuse(tmp_path: Path) -> None:
    """A site that is not managed, and a module of somebody of whose modules the row does not speak."""
    held = [Grant(PETRA, NEWS, "team-manager"), Grant(PETRA, Scope("module", "analytics"), "on")]
    root = BOUNDED.replace("self: siteward", "self: siteward, manages: ['shop.*']")
    assert taken(tmp_path, "users: {petra: {}}\n", *held, root=root) == []


def test_a_file_with_bounds_deletes_nobody_whom_it_finds(tmp_path: Path) -> None:
    (found,) = taken(tmp_path, "users: {petra: {state: absent}}\n")
    assert found.about == ("account", "petra")


def test_an_account_that_is_known_or_nobody_s_is_the_file_s_to_end(tmp_path: Path) -> None:
    """A run has met it as its user's: then its own file may suspend it. Where strangers lose all, nothing more is lost."""
    held, team = Grant(PETRA, NEWS, "team-view-only"), "users: {petra: {state: suspended}}\n"
    assert taken(tmp_path, team, held, memory=Memory(accounts=frozenset({"petra"}))) == []
    assert (
        taken(tmp_path, team, held, root=BOUNDED.replace("self: siteward", "self: siteward, unmanaged: revoke")) == []
    )
    assert taken(tmp_path, team, held, root=BOUNDED.replace(", sites: ['shop.*'], at_most: edit", "")) == []


def test_a_group_within_bounds_takes_in_nobody_of_a_directory_by_itself(tmp_path: Path) -> None:
    """It would be empty for ever; the directory's group can be listed."""
    root = HEAD + "directories: {staff: {file: staff.csv}}\n"
    root += "include: [{path: staff.yaml, directory: staff}, {path: team.yaml, at_most: edit}]\n"
    staff = "directory: staff\nusers: {anna: {id: '1'}}\ngroups: {staff-shop: {members: [anna]}}\n"
    team = "groups: {shop: {from: {directory: staff, group: shop}}}\ngrants: [{to: shop, role: view, sites: shop.example.org}]\n"
    (found,) = [said for said in read_text(tmp_path, root, staff=staff, team=team).diagnostics if said.blocks]
    assert (found.code, found.at and found.at.line) == ("beyond-include", 1)
    assert "members: [staff-shop]" in (found.hint or "")
    listed = team.replace("from: {directory: staff, group: shop}", "members: [staff-shop]")
    assert not read_text(tmp_path, root, staff=staff, team=listed).diagnostics
