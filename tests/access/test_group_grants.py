"""Grants of a platform's own groups: whose they are to give and to take."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from access.worlds import AT, BLOG, SHOP, grant, key, keys, live, proposed, wish
from siteward.access.effective import Index, strongest
from siteward.access.model import Access, Group, Member, Resource, Scope
from siteward.access.state import Ended
from siteward.access.traits import Role
from strategies import PIWIKPRO

EDIT, MANAGE = grant("group:analysts", "edit"), grant("group:analysts", "manage")
DECLARED = Group("analysts")


def test_a_declared_group_gets_and_loses_what_the_file_says() -> None:
    """What the file grants is given, also as another role; what it does not is taken, for silence."""
    desired = wish(DECLARED, MANAGE)
    world = live(DECLARED, EDIT, grant("group:analysts", "view", BLOG), table=PIWIKPRO)
    assert set(keys(proposed(world, desired, table=PIWIKPRO))) == {
        ("update", key("group:analysts"), "granted"),
        ("delete", key("group:analysts", BLOG), "silence"),
    }


def test_a_group_that_the_file_does_not_declare_is_left() -> None:
    """Also where its grant is on a site that is managed."""
    assert keys(proposed(live(EDIT, table=PIWIKPRO), wish(), table=PIWIKPRO)) == []


def test_a_declared_group_on_a_site_that_is_not_managed_is_left() -> None:
    """Neither given nor taken there."""
    desired = replace(wish(DECLARED, MANAGE), managed=frozenset({BLOG}))
    assert keys(proposed(live(DECLARED, EDIT, table=PIWIKPRO), desired, table=PIWIKPRO)) == []


def test_without_a_grants_key_a_group_gets_and_loses_nothing_by_silence() -> None:
    """No `grants` key: silence takes nothing."""
    desired = replace(wish(DECLARED), managed=None)
    assert keys(proposed(live(DECLARED, EDIT, table=PIWIKPRO), desired, table=PIWIKPRO)) == []


def test_a_role_of_a_group_that_cannot_be_declared_is_not_taken() -> None:
    """The file could not say it, so its silence says nothing."""
    fixed = Role(name="edit", power=PIWIKPRO.roles["site"][1].power, declarable=False)
    roles = {**PIWIKPRO.roles, "site": (fixed, PIWIKPRO.roles["site"][3])}
    table = replace(PIWIKPRO, roles=roles)
    assert keys(proposed(live(DECLARED, EDIT, table=table), wish(DECLARED), table=table)) == []


def test_a_groups_grant_that_has_ended_says_how() -> None:
    """The cause is the one of the file and not silence."""
    desired = replace(wish(DECLARED), ended={EDIT.key: Ended("expired", AT)})
    found = proposed(live(DECLARED, EDIT, table=PIWIKPRO), desired, table=PIWIKPRO)
    assert keys(found) == [("delete", EDIT.key, "expired")]


HELD: tuple[Resource, ...] = (
    DECLARED,
    Member("analysts", "ben"),
    Member("analysts", "anna"),
    Member("others", "anna"),
    EDIT,
    grant("group:analysts", "view", BLOG),
    grant("anna", "view"),
)


def test_who_holds_what_is_found_through_groups_and_not() -> None:
    """An account's own grant comes before those of its groups; a group's own are its alone."""
    index = Index(Access(HELD))
    assert index.groups == {"anna": ("analysts", "others"), "ben": ("analysts",)}
    assert index.members == {"analysts": ("anna", "ben"), "others": ("anna",)}
    assert index.ways("anna")[SHOP] == [(grant("anna", "view"), None), (EDIT, "analysts")]
    assert index.ways("ben")[SHOP] == [(EDIT, "analysts")]
    assert index.ways("nobody") == {}
    assert index.own("account", "anna") == (grant("anna", "view"),)
    assert index.own("account", "ben") == ()
    assert [item.scope for item in index.own("group", "analysts")] == [BLOG, SHOP]
    assert index.own("group", "others") == ()


@pytest.mark.parametrize(
    ("own", "through"), [("view", "edit"), ("manage", "edit"), ("edit", "edit")], ids=["weaker", "stronger", "equal"]
)
def test_the_strongest_way_counts_and_between_equals_ones_own(own: str, through: str) -> None:
    """In whatever order they are found."""
    place = Scope("site", "shop.example.org")
    mine, groups = (grant("anna", own, place), None), (grant("group:analysts", through, place), "analysts")
    expected = groups if own == "view" else mine
    assert strongest([mine, groups], PIWIKPRO) == strongest([groups, mine], PIWIKPRO) == expected
    assert strongest([], PIWIKPRO) is None
