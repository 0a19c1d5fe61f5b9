"""The laws of differences and of their order, for random worlds of every kind of platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from siteward.access.change import Change, demoted, dependencies, diff, direction, is_regrant, order, patch
from siteward.access.effective import Index, effective, who_can
from siteward.access.model import (
    EVERYWHERE,
    Access,
    Account,
    Grant,
    Group,
    Key,
    Member,
    Power,
    Scope,
    Subject,
    grant_key,
)
from siteward.access.traits import is_site
from strategies import MATOMO, PIWIKPRO, UMAMI, access, grants, scopes, some, traits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siteward.access.traits import Traits


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Traits, Access, Access]:
    """Draw two worlds of one platform: the second made from the first as often as not, so that much overlaps."""
    table = draw(traits())
    live = draw(access(table))
    return table, live, draw(st.one_of(perturbed(table, live), perturbed(table, live), access(table)))


@st.composite
def perturbed(draw: st.DrawFn, table: Traits, live: Access) -> Access:
    """Draw a world in which grants were lowered, taken, or replaced by a greater one or by a group."""
    found, groups = live.to_dict(), sorted(key[1] for key in live if key[0] == "group")
    for grant in live.grants():
        subject, to = (
            grant.subject,
            draw(st.sampled_from(("kept", "taken", "turned", "promoted", "promoted", "shared"))),
        )
        if to == "turned":
            found[grant.key] = draw(grants(table, subject, grant.scope))
        elif to != "kept":
            del found[grant.key]
        if to == "promoted" and subject.kind == "account" and table.top is not None:
            found[grant_key(subject, EVERYWHERE)] = Grant(subject, EVERYWHERE, table.top)
        if to == "shared" and subject.kind == "account" and groups and is_site(grant.scope):
            member = Member(draw(st.sampled_from(groups)), subject.name)
            shared = Subject("group", member.group)
            found[member.key] = member
            found.setdefault(grant_key(shared, grant.scope), Grant(shared, grant.scope, grant.role, grant.extras))
    for member in live.members():
        if draw(st.booleans()):
            found.pop(member.key, None)
    made = Access.of(found)
    tops = {grant.subject for grant in made.grants() if table.admin_excludes_grants and table.is_top(grant)}
    excluded = [grant.key for grant in made.grants() if grant.subject in tops and is_site(grant.scope)]
    return Access(resource for key, resource in found.items() if key not in excluded)


@given(pairs())
def test_a_diff_is_complete(worlds: tuple[Traits, Access, Access]) -> None:
    """Making every change of a diff leads exactly to the wish, in any order of changes."""
    table, live, desired = worlds
    assert patch(live, diff(live, desired)) == desired
    assert patch(live, order(diff(live, desired), table)) == desired


@given(pairs())
def test_a_diff_is_without_noise(worlds: tuple[Traits, Access, Access]) -> None:
    """Nothing differs from itself, also when it was built anew."""
    _, live, _ = worlds
    assert diff(live, live) == ()
    assert diff(live, Access(reversed(list(live.values())))) == ()


@given(pairs())
def test_undo_is_a_plan_like_any_other(worlds: tuple[Traits, Access, Access]) -> None:
    """The way back is the inverse of the way there."""
    _, first, second = worlds
    back = {change.key: change for change in diff(second, first)}
    assert back == {change.key: change.inverse for change in diff(first, second)}
    assert patch(patch(first, diff(first, second)), [change.inverse for change in diff(first, second)]) == first


@given(pairs())
def test_order_is_a_permutation_that_does_not_depend_on_the_way_in(worlds: tuple[Traits, Access, Access]) -> None:
    """Nothing is lost or invented, and the same changes always come in the same order."""
    table, live, desired = worlds
    changes = diff(live, desired)
    assert sorted(map(repr, order(changes, table))) == sorted(map(repr, changes))
    assert order(changes, table) == order(tuple(reversed(changes)), table)


@given(pairs())
def test_what_something_depends_on_comes_before_it(worlds: tuple[Traits, Access, Access]) -> None:
    """Every dependency is a change of the same plan that stands earlier, so there are no cycles."""
    table, live, desired = worlds
    row = order(diff(live, desired), table)
    place = {change.key: at for at, change in enumerate(row)}
    for key, needs in dependencies(row, table, live).items():
        assert all(place[need] < place[key] for need in needs)
        assert len(set(needs)) == len(needs)


@given(pairs())
def test_nothing_names_somebody_who_is_not_there(worlds: tuple[Traits, Access, Access]) -> None:
    """After each step every grant and membership has its account and its group."""
    table, live, desired = worlds
    assert all(_consistent(world) for world in _way(live, order(diff(live, desired), table)))


@given(pairs())
def test_openings_come_before_closings(worlds: tuple[Traits, Access, Access]) -> None:
    """Nothing is given after something was taken, but for what can only be given after a demotion."""
    table, live, desired = worlds
    row = order(diff(live, desired), table)
    demotions = demoted(row, table)
    shared = [
        change for change in row if change.key[0] in {"grant", "member"} and not is_regrant(change, table, demotions)
    ]
    ways = [direction(change, table) for change in shared]
    assert "open" not in ways[ways.index("close") :] if "close" in ways else True


@given(pairs(), st.data())
def test_nobody_who_keeps_a_role_is_without_it_on_the_way(
    worlds: tuple[Traits, Access, Access], data: st.DataObject
) -> None:
    """At no moment has anybody less than the lesser of before and after, whatever fails on the way.

    The exception is what an admin only gets back once demoted, which the plan marks as a gap.
    """
    table, live, desired = worlds
    row = order(diff(live, desired), table)
    openings = [change for change in row if direction(change, table) == "open"]
    failing = data.draw(st.one_of(some(row), some(openings), st.just(set(openings))), label="failing")
    done = _without(row, {change.key for change in failing}, dependencies(row, table, live))
    least = _least(table, live, desired)
    for world in _way(live, done):
        index = Index(world)
        for (name, scope), power in least.items():
            assert effective(world, table, name, scope, index).power >= power, (name, scope)


def _least(table: Traits, live: Access, desired: Access) -> dict[tuple[str, Scope], Power]:
    before, after = Index(live), Index(desired)
    gap = demoted(diff(live, desired), table) if table.admin_excludes_grants else {}
    return {
        (account.name, scope): min(
            effective(live, table, account.name, scope, before).power,
            effective(desired, table, account.name, scope, after).power,
        )
        for account in live.accounts()
        if account.name not in gap
        for scope in scopes(table)
    }


def _without(row: Sequence[Change], failing: set[Key], needs: object) -> list[Change]:
    assert isinstance(needs, dict)
    lost: set[Key] = set()
    done = []
    for change in row:
        if change.key in failing or lost & set(needs.get(change.key, ())):
            lost.add(change.key)
        else:
            done.append(change)
    return done


def _way(live: Access, row: Sequence[Change]) -> Iterator[Access]:
    world = live
    for change in row:
        world = patch(world, (change,))
        yield world


def _consistent(world: Access) -> bool:
    people = {account.name for account in world.accounts()}
    groups = {resource.name for resource in world.values() if isinstance(resource, Group)}
    subjects = {"account": people, "group": groups}
    return all(grant.subject.name in subjects[grant.subject.kind] for grant in world.grants()) and all(
        member.account in people and member.group in groups for member in world.members()
    )


SHOP = Scope("site", "shop.example.org")


def test_a_raise_and_a_group_leave_meet() -> None:
    """Leaving a group waits for the grant that replaces it."""
    anna, group = Subject("account", "anna"), Subject("group", "editors")
    always = (Account("anna"), Group("editors"), Grant(group, SHOP, "edit"))
    live, desired = Access((*always, Member("editors", "anna"))), Access((*always, Grant(anna, SHOP, "edit")))
    row = order(diff(live, desired), PIWIKPRO)
    assert [change.action for change in row] == ["create", "delete"]
    assert dependencies(row, PIWIKPRO, live) == {row[1].key: (row[0].key,)}


def test_a_demotion_on_matomo_comes_before_the_grants_it_makes_room_for() -> None:
    """What an admin is to have on sites afterwards depends on the demotion, not the other way round."""
    anna = Subject("account", "anna")
    live = Access((Account("anna"), Grant(anna, EVERYWHERE, "superuser")))
    desired = Access((Account("anna"), Grant(anna, SHOP, "view")))
    row = order(diff(live, desired), MATOMO)
    assert [change.action for change in row] == ["delete", "create"]
    assert dependencies(row, MATOMO, live) == {row[1].key: (row[0].key,)}


def test_a_demotion_on_umami_waits_for_what_is_kept() -> None:
    """Where an admin may hold site grants, they are given before the account role is taken."""
    anna = Subject("account", "anna")
    live = Access((Account("anna"), Grant(anna, EVERYWHERE, "admin")))
    desired = Access((Account("anna"), Grant(anna, SHOP, "team-member")))
    row = order(diff(live, desired), UMAMI)
    assert [change.action for change in row] == ["create", "delete"]
    assert dependencies(row, UMAMI, live) == {row[1].key: (row[0].key,)}


def test_accounts_come_first_and_renames_and_deletions_last() -> None:
    """Create, open, close, rename, delete."""
    gone, anna = Subject("account", "gone"), Subject("account", "anna")
    live = Access(
        (Account("gone"), Grant(gone, SHOP, "team-member"), Account("anna"), Grant(anna, SHOP, "team-member"))
    )
    desired = Access(
        (Account("new"), Grant(Subject("account", "new"), SHOP, "team-member"), Account("anna", renamed="ann"))
    )
    row = order(diff(live, desired), UMAMI)
    assert [(change.action, change.key[0]) for change in row] == [
        ("create", "account"),
        ("create", "grant"),
        ("delete", "grant"),
        ("delete", "grant"),
        ("update", "account"),
        ("delete", "account"),
    ]
    assert dependencies(row, UMAMI, live)[("account", "gone")] == (("grant", "account", "gone", "site", SHOP.name),)


def test_direction_knows_roles_and_extras() -> None:
    """A right that the greater role holds anyway is not lost by a raise; trading one for another is a turn."""
    anna = Subject("account", "anna")

    def way(before: tuple[str, set[str]], after: tuple[str, set[str]]) -> str:
        held, wished = (Grant(anna, SHOP, role, frozenset(extras)) for role, extras in (before, after))
        return direction(Change(held, wished), MATOMO)

    assert way(("view", {"tagmanager_write"}), ("admin", set())) == "open"
    assert way(("admin", set()), ("view", {"tagmanager_write"})) == "close"
    assert way(("view", {"tagmanager_write"}), ("view", {"tagmanager_publish"})) == "turn"
    assert way(("view", {"tagmanager_publish"}), ("write", set())) == "turn"
    assert way(("view", set()), ("view", {"tagmanager_write"})) == "open"


def test_effective_access_is_the_strongest_way_and_says_which() -> None:
    """Own grants and those of groups combine by maximum; admins have everything; every way is told."""
    anna, group = Subject("account", "anna"), Subject("group", "editors")
    world = Access(
        (
            Account("anna"),
            Account("root"),
            Account("ben"),
            Group("editors"),
            Member("editors", "anna"),
            Grant(anna, SHOP, "view"),
            Grant(group, SHOP, "edit"),
            Grant(Subject("account", "root"), EVERYWHERE, "owner"),
        )
    )
    found = effective(world, PIWIKPRO, "anna", SHOP)
    assert (found.power, found.role, [way.group for way in found.ways]) == (Power.EDIT, "edit", ["editors", None])
    assert [effect.account for effect in who_can(world, PIWIKPRO, Power.EDIT, SHOP)] == ["root", "anna"]
    assert effective(world, PIWIKPRO, "ben", SHOP).power is Power.NONE
