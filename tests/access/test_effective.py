"""Effective access: every way that leads somewhere, the strongest first, and who can do what."""

from __future__ import annotations

from msgspec.structs import replace

from siteward.access.effective import Effect, Way, effective, strongest, who_can
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Member, Power, Scope, Subject
from siteward.access.traits import Role, Traits

SHOP, BLOG, META = Scope("site", "shop"), Scope("site", "blog"), Scope("metasite", "shop")
TRAITS = Traits(
    platform="any",
    roles={
        "site": (
            Role(name="view", power=Power.VIEW),
            Role(name="edit", power=Power.EDIT),
            Role(name="write", power=Power.EDIT),
            Role(name="nothing", power=Power.NONE),
        ),
        "metasite": (Role(name="view", power=Power.VIEW),),
        "instance": (Role(name="user", power=Power.VIEW), Role(name="top", power=Power.ADMIN)),
    },
    top="top",
)


def grant(who: str, scope: Scope, role: str) -> Grant:
    """Return a grant; `+name` is a group."""
    return Grant(Subject("group", who[1:]) if who.startswith("+") else Subject("account", who), scope, role)


def of(who: str, scope: Scope, *resources: Grant | Member | Account | Group) -> Effect:
    return effective(Access(resources), TRAITS, who, scope)


def test_an_own_grant_is_a_way() -> None:
    """With its power, and no group."""
    held = grant("ana", SHOP, "edit")
    assert of("ana", SHOP, held) == Effect("ana", SHOP, Power.EDIT, (Way(held, None, Power.EDIT),), active=True)
    assert of("ana", SHOP, held).role == "edit"


def test_nobody_has_what_is_granted_elsewhere_or_to_others() -> None:
    """A site is not the meta site of that name, and a role of the account that is not the top one opens no site."""
    nothing = Effect("ana", SHOP, Power.NONE, (), active=True)
    others = (
        grant("ana", META, "view"),
        grant("ana", BLOG, "edit"),
        grant("bob", SHOP, "edit"),
        grant("+g", SHOP, "edit"),
    )
    assert of("ana", SHOP, *others, grant("ana", EVERYWHERE, "user"), Member("g", "bob")) == nothing
    assert nothing.role is None


def test_the_top_role_is_a_way_to_everything() -> None:
    """The strongest, with the site's own grant behind it."""
    top, own = grant("ana", EVERYWHERE, "top"), grant("ana", SHOP, "view")
    found = of("ana", SHOP, own, top)
    assert [way.grant for way in found.ways] == [top, own]
    assert (found.power, found.role) == (Power.ADMIN, "top")
    assert of("ana", BLOG, own, top).ways == (Way(top, None, Power.ADMIN),)


def test_a_role_of_the_account_counts_where_it_is_asked_for() -> None:
    """On the whole instance any of them is told, once."""
    user = grant("ana", EVERYWHERE, "user")
    assert of("ana", EVERYWHERE, user, grant("ana", SHOP, "edit")).ways == (Way(user, None, Power.VIEW),)


def test_groups_are_ways_by_their_name() -> None:
    """Each group that somebody is in; between equals the own grant stands first, and then the names."""
    own = grant("ana", SHOP, "edit")
    held = (
        own,
        grant("+b", SHOP, "edit"),
        grant("+a", SHOP, "edit"),
        grant("+c", EVERYWHERE, "top"),
        grant("+d", SHOP, "view"),
    )
    members = tuple(Member(name, "ana") for name in "abc")
    found = of("ana", SHOP, *held, *members)
    assert [(way.grant.role, way.group, way.power) for way in found.ways] == [
        ("top", "c", Power.ADMIN), ("edit", None, Power.EDIT), ("edit", "a", Power.EDIT), ("edit", "b", Power.EDIT),
    ]  # fmt: skip


def test_between_two_roles_of_a_group_the_name_decides() -> None:
    """So that the same is told each time."""
    found = of("ana", SHOP, grant("+a", EVERYWHERE, "top"), grant("+a", SHOP, "view"), Member("a", "ana"))
    assert [way.grant.role for way in found.ways] == ["top", "view"]


def test_an_account_that_cannot_log_in_is_not_active() -> None:
    """What it holds is told all the same; an account that is not listed is taken for active."""
    held = grant("ana", SHOP, "view")
    assert of("ana", SHOP, held, Account("ana")).active
    assert of("ana", SHOP, held).active
    suspended = of("ana", SHOP, held, replace(Account("ana"), status="pending"))
    assert (suspended.active, suspended.power) == (False, Power.VIEW)


def test_everybody_with_a_power_is_listed() -> None:
    """The strongest first, then by name: by an own grant, a group, or the top role, listed as an account or not."""
    access = Access(
        [
            Account("listed"),
            grant("zoe", SHOP, "edit"),
            grant("bob", SHOP, "view"),
            grant("+g", SHOP, "edit"),
            Member("g", "cem"),
            grant("top", EVERYWHERE, "top"),
            grant("none", SHOP, "nothing"),
            grant("else", BLOG, "edit"),
        ]
    )
    every = who_can(access, TRAITS, Power.VIEW, SHOP)
    assert [(effect.account, effect.power) for effect in every] == [
        ("top", Power.ADMIN), ("cem", Power.EDIT), ("zoe", Power.EDIT), ("bob", Power.VIEW),
    ]  # fmt: skip
    assert [effect.account for effect in who_can(access, TRAITS, Power.EDIT, SHOP)] == ["top", "cem", "zoe"]
    assert [effect.account for effect in who_can(access, TRAITS, Power.NONE, SHOP)] == ["top", "cem", "zoe", "bob"]
    assert [effect.account for effect in who_can(access, TRAITS, Power.ADMIN, SHOP)] == ["top"]
    assert who_can(access, TRAITS, Power.MANAGE, BLOG)[0].ways[0].grant.scope == EVERYWHERE


def test_of_several_grants_the_strongest_counts() -> None:
    """Between equals, one's own; of two roles of one power the higher one."""
    own, shared, more = grant("ana", SHOP, "edit"), grant("+g", SHOP, "edit"), grant("+h", EVERYWHERE, "top")
    assert strongest([(shared, "g"), (own, None)], TRAITS) == (own, None)
    higher = grant("+g", SHOP, "write")
    assert strongest([(own, None), (higher, "g")], TRAITS) == (higher, "g")
    assert strongest([(own, None), (more, "h")], TRAITS) == (more, "h")
    assert strongest([], TRAITS) is None
