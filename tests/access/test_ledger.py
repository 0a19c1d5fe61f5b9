"""Who holds what: both sides of every pair, through groups too, each with its reason."""

from __future__ import annotations

from msgspec.structs import replace

from siteward.access.diagnostic import Span
from siteward.access.effective import Entry, Holding, Ledger, ledger
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Member, Power, Scope, Subject, account_key
from siteward.access.state import DeclaredUser, Desired, Listing, Live, Origin
from siteward.access.traits import Role, Traits

SHOP, BLOG = Scope("site", "shop"), Scope("site", "blog")
TRAITS = Traits(
    platform="any",
    roles={
        "site": (Role(name="view", power=Power.VIEW), Role(name="edit", power=Power.EDIT)),
        "instance": (Role(name="top", power=Power.ADMIN),),
    },
    top="top",
    public_account="anonymous",
)


def give(who: str, where: Scope, role: str, *, kind: str = "account") -> Grant:
    return Grant(Subject("group" if kind == "group" else "account", who), where, role)


def told(live: Access, wish: Access, **more: object) -> Ledger:
    at = Span("access.yaml", 1, 1)
    desired = Desired(
        access=wish,
        origins={key: Origin(at) for key in wish},
        declared_users={"ana": DeclaredUser(handle="ana", at=at, kind="client", email="ana@x.test")},
        managed=frozenset({SHOP, BLOG}),
    )
    seen = Live(access=live, me="robot", pending=frozenset({account_key("new")}), **more)  # type: ignore[arg-type]  # tests name real fields
    return ledger("stats", "https://x.test", desired, seen, TRAITS)


def entry(found: Ledger, name: str) -> Entry:
    return next(entry for entry in found.entries if entry.account == name)


def agreements(found: Entry) -> dict[Scope, str]:
    return {holding.scope: holding.agreement for holding in found.holdings}


def test_both_sides_of_every_pair_are_there() -> None:
    live = Access([Account("ana"), give("ana", SHOP, "view"), give("ana", EVERYWHERE, "top")])
    wish = Access([Account("ana"), give("ana", SHOP, "edit"), give("ana", BLOG, "view")])
    found = entry(told(live, wish), "ana")
    assert agreements(found) == {SHOP: "differs", BLOG: "missing", EVERYWHERE: "extra"}
    shop = next(holding for holding in found.holdings if holding.scope == SHOP)
    assert (shop.live_power, shop.declared_power) == (Power.VIEW, Power.EDIT)
    assert shop.origin is not None


def test_what_agrees_is_the_same_on_both_sides() -> None:
    both = Access([Account("ana"), give("ana", SHOP, "view")])
    assert agreements(entry(told(both, both), "ana")) == {SHOP: "same"}


def test_groups_are_told_of_their_members_and_the_strongest_way_counts() -> None:
    live = Access(
        [
            Account("ana"),
            Group("team"),
            Member("team", "ana"),
            give("team", SHOP, "edit", kind="group"),
            give("ana", SHOP, "view"),
        ]
    )
    (held,) = entry(told(live, live), "ana").holdings
    assert (held.group, held.live_power, held.agreement) == ("team", Power.EDIT, "same")


def test_an_own_grant_that_a_declared_group_covers_still_differs() -> None:
    """The plan lowers or revokes it, so no verb calls it the same."""
    group = (Group("team"), Member("team", "ana"), give("team", SHOP, "edit", kind="group"))
    own = give("ana", SHOP, "edit")
    for wished in ((), (give("ana", SHOP, "view"),)):
        for live_group in (group, group[:1], group[::2]):
            found = told(Access([Account("ana"), own, *live_group]), Access([Account("ana"), *group, *wished]))
            assert agreements(entry(found, "ana")) == {SHOP: "differs"}


def test_everybody_is_somebody() -> None:
    names = ("ana", "robot", "anonymous", "stranger", "new")
    live = Access([*map(Account, names), give("stranger", SHOP, "view")])
    found = told(live, Access([Account("ana")]))
    assert {entry.account: entry.kind for entry in found.entries} == {
        "ana": "client", "robot": "self", "anonymous": "public", "stranger": "undeclared", "new": "undeclared",
    }  # fmt: skip
    assert entry(found, "ana").email == "ana@x.test"
    assert entry(found, "new").status == "pending"


def test_sites_without_any_grant_are_listed_too() -> None:
    found = told(Access(), Access([Account("ana"), give("ana", BLOG, "view")]), sites={SHOP: None})
    assert found.sites == (BLOG, SHOP)


def test_what_was_not_read_whole_is_known() -> None:
    half = Listing(name="users", rows=1, complete=False, proof="")
    assert not told(Access(), Access(), listings=(half,)).complete
    assert told(Access(), Access()).complete


def test_a_holding_with_other_extras_differs() -> None:
    holding = Holding(
        scope=SHOP,
        live=Grant(Subject("account", "a"), SHOP, "view", frozenset({"x"})),
        declared=give("a", SHOP, "view"),
    )
    assert holding.agreement == "differs"


def test_what_lingers_stands_with_who_is_declared_and_not_with_who_has_ended() -> None:
    """Silence does not take it from somebody of the file; it is a difference at a stranger's and a leaver's."""
    lingering = replace(
        TRAITS, roles={**TRAITS.roles, "instance": (Role(name="user", power=Power.VIEW, lingers=True),)}
    )
    names = ("ana", "gone", "stranger")
    live = Live(access=Access([*map(Account, names), *(give(name, EVERYWHERE, "user") for name in names)]), me="robot")
    at = Span("access.yaml", 1, 1)
    declared_users = {"ana": DeclaredUser("ana", at), "gone": DeclaredUser("gone", at, ending="suspended")}
    found = ledger("stats", "https://x.test", Desired(access=Access(), declared_users=declared_users), live, lingering)
    assert {name: entry(found, name).holdings[0].stands for name in names} == {
        "ana": True, "gone": False, "stranger": False,
    }  # fmt: skip


def test_facts_are_told_of_whom_they_are_about() -> None:
    """And nobody else has any, which is no fact at all."""
    live = Access([Account("ana"), Account("new")])
    found = told(live, Access(), facts={account_key("ana"): {"2fa": "on"}})
    assert entry(found, "ana").facts == {"2fa": "on"}
    assert entry(found, "new").facts == {}
