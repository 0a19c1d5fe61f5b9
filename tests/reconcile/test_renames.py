"""Renamed accounts and groups: under which name a thing stands once its account or group was renamed."""

from __future__ import annotations

import pytest

from rig import subject, whole
from siteward.access.change import Change
from siteward.access.model import EVERYWHERE, Account, Grant, Group, Member, Resource, Scope
from siteward.access.renames import Renames, at_rest, change_under, key_under, renames_in, touched, under

SITE = Scope("site", "a.test")
NAMES: Renames = {("account", "ann"): "anna"}
GROUPS: Renames = {("group", "readers"): "analysts"}
MOVED: list[tuple[Resource, Resource]] = [
    (Account("ann", "ann@a.test"), Account("anna", "ann@a.test")),
    (Account("ann", renamed="anna"), Account("anna")),
    (Member("editors", "ann"), Member("editors", "anna")),
    (Grant(subject("ann"), SITE, "view"), Grant(subject("anna"), SITE, "view")),
    (Grant(subject("ann"), EVERYWHERE, "admin"), Grant(subject("anna"), EVERYWHERE, "admin")),
]
MOVED_GROUPS: list[tuple[Resource, Resource]] = [
    (Group("readers", "idp"), Group("analysts", "idp")),
    (Group("readers", renamed="analysts"), Group("analysts")),
    (Member("readers", "ann"), Member("analysts", "ann")),
    (Grant(subject("group:readers"), SITE, "view"), Grant(subject("group:analysts"), SITE, "view")),
]
STAYING: list[Resource] = [
    Account("bob"),
    Group("ann"),
    Member("ann", "bob"),
    Grant(subject("bob"), SITE, "view"),
    Grant(subject("group:ann"), SITE, "view"),
]


@pytest.mark.parametrize(("old", "new"), MOVED)
def test_what_a_renamed_account_has_stands_under_its_new_login(old: Resource, new: Resource) -> None:
    """Account, membership and grant move; the key leads to where the thing stands."""
    assert under(old, NAMES) == new
    assert key_under(old.key, NAMES) == new.key


@pytest.mark.parametrize(("old", "new"), MOVED_GROUPS)
def test_what_a_renamed_group_has_stands_under_its_new_name(old: Resource, new: Resource) -> None:
    """The group, its members and what it holds move, and at rest it is not being renamed."""
    assert under(old, GROUPS) == new
    assert key_under(old.key, GROUPS) == new.key
    before = whole({resource.key: resource for resource in (old, Group("readers", renamed="analysts"))}.values())
    assert new.key in at_rest(before)
    assert under(Account("readers"), GROUPS) == Account("readers")


@pytest.mark.parametrize("staying", STAYING)
def test_others_and_groups_of_that_name_stay(staying: Resource) -> None:
    """A group that is called like the account is not the account."""
    assert under(staying, NAMES) == staying
    assert key_under(staying.key, NAMES) == staying.key


def test_a_renaming_touches_both_logins() -> None:
    """To see whether it took place, both are looked at; any other change has one place."""
    rename = Change(Account("ann"), Account("ann", renamed="anna"))
    assert touched(rename) == {("account", "ann"), ("account", "anna")}
    assert touched(Change(Account("ann"), None)) == {("account", "ann")}
    assert renames_in([rename, Change(None, Account("bob"))]) == NAMES
    assert change_under(rename, NAMES) == rename
    group = Change(Group("readers"), Group("readers", renamed="analysts"))
    assert touched(group) == {("group", "readers"), ("group", "analysts")}
    assert renames_in([group]) == GROUPS
    assert change_under(group, GROUPS) == group


def test_a_change_of_a_renamed_account_is_told_under_the_new_login() -> None:
    """Both sides of it, and a side that is not there stays away."""
    view, edit = (Grant(subject("ann"), SITE, role) for role in ("view", "edit"))
    new_view, new_edit = (Grant(subject("anna"), SITE, role) for role in ("view", "edit"))
    assert change_under(Change(view, edit), NAMES) == Change(new_view, new_edit)
    assert change_under(Change(view, None), NAMES) == Change(new_view, None)
    assert change_under(Change(None, edit), NAMES) == Change(None, new_edit)


def test_at_rest_nobody_is_being_renamed() -> None:
    """An access in which somebody is to be renamed becomes the one after that."""
    before = whole([Account("ann", renamed="anna"), Grant(subject("ann"), SITE, "view"), Account("bob")])
    assert at_rest(before) == whole([Account("anna"), Grant(subject("anna"), SITE, "view"), Account("bob")])
