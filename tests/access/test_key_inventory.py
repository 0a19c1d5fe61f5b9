"""Live keys beside those of the file: who has outlived their right, what nobody listed, and what is to be made anew."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from siteward.access.api_key import ApiKey, HeldKey, LiveKey
from siteward.access.diagnostic import Diagnostic, Severity, Span
from siteward.access.key_inventory import hold_keys, judge_keys, settled_rows
from siteward.access.model import Access, Account, Grant, Power, Resource, Scope, Subject, account_key
from siteward.access.policy import Policy
from siteward.access.proposal import Proposal, manage
from siteward.access.state import NOTHING_HELD, DeclaredUser, Desired, Held, Live, Site
from siteward.access.traits import Role, Traits

NOW = datetime(2026, 12, 1, tzinfo=UTC)
AT, DUE = Span("access.yaml", 5, 10), Span("access.yaml", 5, 40)
SHOP = Scope("site", "shop.example.org")
TRAITS = Traits(
    platform="p",
    roles={"site": (Role(name="view", power=Power.VIEW), Role(name="edit", power=Power.EDIT))},
    keys_unseen="",
)
UNSEEN = replace(TRAITS, keys_unseen="no call lists keys")


def day(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T00:00:00+00:00")


def live_key(account: str = "ben", name: str = "bi", made: str | None = "2026-06-01", **more: Any) -> LiveKey:
    return LiveKey(account=account, name=name, made=day(made) if made else None, **more)


def listed(name: str = "bi", since: str | None = None, **more: Any) -> ApiKey:
    return ApiKey(name=name, on="stats", since=day(since) if since else None, at=AT, due_at=DUE, **more)


def user(handle: str = "ben", *keys: ApiKey, **more: Any) -> DeclaredUser:
    return DeclaredUser(handle=handle, at=AT, keys=keys, **more)


def view(*names: str, role: str = "view") -> list[Resource]:
    return [part for name in names for part in (Account(name), Grant(Subject("account", name), SHOP, role))]


def proposed(
    keys: Iterable[LiveKey],
    users: Iterable[DeclaredUser],
    *,
    traits: Traits = TRAITS,
    wanted: Iterable[Resource] | None = None,
    held: Held = NOTHING_HELD,
    me: str | None = None,
    **policy: Any,
) -> Proposal:
    """Everybody views the shop, and the file grants that to all users who have not ended."""
    users, access = list(users), view("ben", "stranger")
    live = Live(access=Access(access), sites={SHOP: Site(id="1", label="shop.example.org")}, me=me, keys=tuple(keys))
    wishes = view(*(one.handle for one in users if one.ending is None)) if wanted is None else wanted
    desired = Desired(
        access=Access(wishes),
        declared_users={one.handle: one for one in users},
        managed=frozenset({SHOP}),
        held=held,
    )
    return manage(live, desired, traits, Policy(**policy), None)


def said(made: Proposal) -> list[Diagnostic]:
    return list(judge_keys(hold_keys(made, NOW, "stats"), made.traits.keys_unseen))


def flags(made: Proposal) -> dict[str, tuple[str, ...]]:
    return {f"{key.who} {key.name}": key.flags for key in hold_keys(made, NOW, "stats")}


def test_a_key_that_is_live_and_listed_is_in_order() -> None:
    made = proposed([live_key()], [user("ben", listed(since="2026-06-01", rotates=365))])
    assert (flags(made), said(made)) == ({"ben bi": ()}, [])
    assert settled_rows(hold_keys(made, NOW)) == {AT, DUE}


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        ("suspended", "is suspended"),
        ("absent", "is absent"),
        ("expired", "has ended"),
        ("left", "has left the file"),
        ("not-yet", "has not begun"),
    ],
)
def test_a_key_outlives_whoever_is_not_there(ending: str, why: str) -> None:
    """Listed or not, and it is told once, at its row where it has one."""
    for rows, at in (((listed(),), AT), ((), None)):
        made = proposed([live_key()], [user("ben", *rows, ending=ending)])
        (found,) = said(made)
        assert (found.code, found.at, found.severity) == ("key-orphaned", at, Severity.WARNING)
        assert found.message == f"the key `bi` of `ben` is still live (made on 2026-06-01), and `ben` {why}"


def test_a_key_outlives_a_right_that_the_plan_takes() -> None:
    """It is judged by what its owner will have, not by what they have now; the file need not say what the key holds."""
    made = proposed([live_key()], [user("ben", listed())], wanted=[Account("ben")])
    assert [found.message.rpartition(", ")[2] for found in said(made)] == ["and `ben` has no right here"]
    held_back = proposed([live_key()], [user("ben", listed())], wanted=[Account("ben")], mode="add-only")
    assert said(held_back) == []


def test_a_key_that_carries_more_than_its_owner_may() -> None:
    made = proposed([live_key(holds=Power.MANAGE)], [user("ben", listed())])
    assert [found.message.rpartition(", and ")[2] for found in said(made)] == ["the key carries manage"]
    assert [found.code for found in said(made)] == ["key-orphaned"]


def test_a_key_of_an_account_without_a_right_or_a_user() -> None:
    """Of somebody who has left the platform's team only the key is left; a stranger's is one that nobody listed."""
    keys = [live_key("gone@example.org"), live_key("stranger"), live_key("ben")]
    found = said(proposed(keys, [user("ben", listed())]))
    assert [(one.code, one.message) for one in found] == [
        (
            "key-orphaned",
            "the key `bi` of `gone@example.org` is still live (made on 2026-06-01), and `gone@example.org` has no right here",
        ),
        ("key-undeclared", "the key `bi` of `stranger` is live (made on 2026-06-01), and the file does not list it"),
    ]
    assert all(one.facts and one.thing == "bi" for one in found)


def test_what_a_rotation_left_behind_is_told() -> None:
    """The newest of a name is the listed one, in whatever case and spacing the file writes it."""
    keys = [live_key(name="Night  export", made="2025-06-01"), live_key(name="night export", made="2026-06-01")]
    made = proposed(keys, [user("ben", listed("night Export", rotates=365, since="2026-06-01"))])
    (found,) = said(made)
    assert (
        found.message
        == "an older key `Night  export` of `ben` (made on 2025-06-01) is live beside the one of 2026-06-01"
    )
    assert flags(made) == {"ben night Export": (), "ben Night  export": ("outdated",)}


def test_a_rotation_is_due_by_the_day_the_key_was_made() -> None:
    """Whatever the file says: a day that was only written anew rotates nothing, and one that was forgotten is said."""
    lied = proposed([live_key(made="2025-06-01")], [user("ben", listed(since="2026-11-01", rotates=365))])
    (due,) = said(lied)
    assert (due.code, due.at) == ("key-overdue", DUE)
    assert due.message == "the key `bi` of `ben` was made on 2025-06-01, and was to be made anew by 2026-06-01"
    forgotten = proposed([live_key(made="2026-11-01")], [user("ben", listed(since="2025-06-01", rotates=365))])
    (redated,) = said(forgotten)
    assert (redated.code, redated.severity, redated.hint) == ("key-redated", Severity.NOTE, "write `since: 2026-11-01`")
    assert said(proposed([live_key(made="2025-06-01")], [user("ben", listed(rotates=365))]))[0].code == "key-overdue"


def test_a_key_that_is_gone_is_a_note_and_a_password_may_be_one() -> None:
    """The file goes on to judge its row: a password that is due does not show as a key."""
    made = proposed([], [user("ben", listed("password", since="2025-06-01", rotates=365))])
    (found,) = said(made)
    assert (found.code, found.severity) == ("key-missing", Severity.NOTE)
    assert flags(made) == {"ben password": ("overdue", "missing")}
    assert settled_rows(hold_keys(made, NOW)) == frozenset()


def test_a_file_without_an_inventory_is_told_once() -> None:
    made = proposed([live_key(), live_key(name="other"), live_key("stranger")], [user("ben")])
    (found,) = said(made)
    assert (found.code, found.severity) == ("keys-unlisted", Severity.NOTE)
    assert found.message == "3 keys are live, and the file lists none of this instance"


def test_what_the_platform_does_not_show_is_said_once_and_nothing_is_missing() -> None:
    made = proposed([], [user("ben", listed(), listed("two"), ending="suspended")], traits=UNSEEN)
    (found,) = said(made)
    assert (found.code, found.message) == ("keys-unseen", "2 keys of the file cannot be compared: no call lists keys")
    assert flags(made) == {"ben bi": ("orphaned",), "ben two": ("orphaned",)}
    assert said(proposed([], [user("ben")], traits=UNSEEN)) == []


def test_whom_nothing_is_said_of() -> None:
    """The account in use, ignored ones, and whoever a row in error may name; their keys are listed all the same."""
    for options in ({"me": "stranger"}, {"ignore": ("strang*",)}, {"held": Held(accounts={"stranger": AT})}):
        made = proposed([live_key("stranger"), live_key()], [user("ben", listed())], **options)
        assert said(made) == []
        assert flags(made) == {"ben bi": (), "stranger bi": ()}


def test_an_account_that_is_another_than_the_known_one_is_not_its_user() -> None:
    made = proposed([live_key()], [user("ben", listed())])
    other = replace(made, others={"ben": None})
    held = [key for key in hold_keys(other, NOW) if key.live is not None]
    assert [(key.handle, key.account) for key in held] == [(None, "ben")]
    assert account_key("ben") in other.live.access


def test_a_key_knows_its_owner_and_its_day() -> None:
    key = HeldKey(account="ben@example.org", name="k", listed=listed("k", since="2026-01-02", holds=Power.EDIT))
    assert (key.who, key.made, key.holds) == ("ben@example.org", day("2026-01-02"), Power.EDIT)
    both = replace(key, handle="ben", live=live_key(made="2026-03-04"))
    assert (both.who, both.made, both.holds) == ("ben", day("2026-03-04"), Power.VIEW)


@pytest.mark.parametrize("secret", ["ghp_" + "a1B2" * 9, "0123456789abcdef" * 2, "Ab3" + "xY4-z_" * 10 + "q"])
def test_a_key_that_was_pasted_where_its_name_goes_is_not_repeated(secret: str) -> None:
    made = proposed([live_key(name=f"my {secret}"), live_key()], [user("ben", listed())])
    assert [key.name for key in hold_keys(made, NOW)] == ["bi", "my (a secret)"]
    assert secret not in repr(said(made))


def test_a_key_without_a_name_can_be_waived() -> None:
    """A waiver need not say what it is about."""
    (found,) = said(proposed([live_key(name=""), live_key()], [user("ben", listed())]))
    assert (found.code, found.thing) == ("key-undeclared", None)


def test_keys_whose_names_differ_in_case_are_told_apart_where_the_file_lists_both() -> None:
    keys = [live_key(name="pw", made="2026-01-01"), live_key(name="PW", made="2026-06-01")]
    held = {key.name: key for key in hold_keys(proposed(keys, [user("ben", listed("pw"), listed("PW"))]), NOW)}
    assert {name: key.made for name, key in held.items()} == {"pw": day("2026-01-01"), "PW": day("2026-06-01")}
    assert {key.flags for key in held.values()} == {()}
