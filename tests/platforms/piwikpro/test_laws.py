"""What must hold in every world: reading shows what is there, and writing leads to what was wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from platforms.piwikpro.opened import carry_out, opened
from platforms.piwikpro.worlds import SELF, worlds
from siteward.access.change import Change, diff
from siteward.access.model import Grant, Group
from siteward.platforms.fakery import World, in_process
from siteward.platforms.piwikpro.native_state import is_owner
from siteward.platforms.piwikpro.platform import PLATFORM

if TYPE_CHECKING:
    from siteward.access.state import Live


def _describe_live(live: Live) -> set[tuple[str, ...]]:
    return {
        (grant.subject.kind, grant.subject.name, grant.scope.kind, grant.scope.name, grant.role)
        for grant in live.access.grants()
    }


def _describe_world(world: World) -> set[tuple[str, ...]]:
    """Return the grants that a world speaks of."""
    groups, metas, modules = (world.more[name] for name in ("groups", "metasites", "modules"))
    assert isinstance(groups, list)
    assert isinstance(metas, list)
    assert isinstance(modules, dict)
    return {
        *(("account", account.login, "instance", "", "owner") for account in world.accounts if account.role),
        *(("account", grant.account, "site", grant.site, grant.role) for grant in world.grants),
        *(("account", who, "metasite", meta["name"], role) for meta in metas for who, role in meta["grants"].items()),
        *(("group", group["name"], "site", on, role) for group in groups for on, role in group["sites"].items()),
        *(
            ("group", group["name"], "metasite", on, role)
            for group in groups
            for on, role in group["metasites"].items()
        ),
        *(("account", who, "module", name, "on") for who, names in modules.items() for name in names),
    }


def _managed_changes(live: Live, wish: Live, *, native: bool) -> list[Change]:
    """Return the differences that the core would make steps of: none for owners' levels, none that end a group."""
    changes = []
    for change in diff(live.access, wish.access):
        side = change.after or change.before
        grant = side if isinstance(side, Grant) else None
        of_group = change.key[0] in {"group", "member"} or (grant is not None and grant.subject.kind == "group")
        hidden = grant is not None and grant.scope.kind != "instance" and is_owner(wish.access, grant.subject.name)
        if (
            SELF in change.key
            or hidden
            or (of_group and not native)
            or (isinstance(side, Group) and change.after is None)
        ):
            continue
        changes.append(change)
    return changes


@given(worlds())
def test_reading_shows_the_world_and_nothing_else(world: World) -> None:
    """Every level, ownership and switch, and no other."""
    assert _describe_live(opened(world, through=in_process).live()) == _describe_world(world)


@given(worlds(), worlds(), st.booleans())
def test_writing_leads_to_what_was_wanted(before: World, after: World, native: bool) -> None:  # noqa: FBT001 — hypothesis draws it
    """Whatever one world is and another is wished, writing the difference and reading again shows no difference.

    Under every ownership a level sleeps, and somebody new has all modules until told otherwise.
    """
    place, wish = opened(before, native=native, through=in_process), opened(after, through=in_process).live()
    shop = next(iter(place.fake.state.apps))
    place.fake.state.levels |= {("app", shop, "user", owner.id): "manage" for owner in place.fake.state.owners()}
    live = place.live()

    receipts = carry_out(place, live, _managed_changes(live, wish, native=native), wish)

    assert {receipt.status for receipt in receipts} <= {"sent"}
    assert not _managed_changes(place.live(), wish, native=native)


@given(worlds(), worlds(), st.booleans())
def test_looking_agrees_with_reading(before: World, after: World, native: bool) -> None:  # noqa: FBT001 — hypothesis draws it
    """What `look` says of a key is what a whole reading says, of what is there and of what is not."""
    place = opened(before, native=native, through=in_process)
    live, wish = place.live(), opened(after, through=in_process).live()
    keys = [key for key in {*live.access, *wish.access} if key[0] != "group" or key in live.access]

    seen = PLATFORM.refresh(place.doors.reader, keys, live)

    owners = {grant.subject.name for grant in live.access.grants() if grant.role == "owner"}
    for key in keys:
        if key[0] == "grant" and key[3] == "module" and key[2] in owners:
            continue  # an owner has every module, which is no grant
        assert seen[key] == live.access.get(key), key


@given(worlds())
def test_nobody_beside_the_change_is_touched(world: World) -> None:
    """Revoking all of one person's levels leaves every other row as it was."""
    place = opened(world, through=in_process)
    live = place.live()
    name = world.accounts[-1].login
    mine = [
        grant
        for grant in live.access.grants()
        if grant.subject.name == name and grant.scope.kind in {"site", "metasite"}
    ]
    before = {key: level for key, level in place.fake.state.levels.items() if key[3] != place.person(name)}

    carry_out(place, live, [Change(grant, None) for grant in mine])

    assert before == {key: level for key, level in place.fake.state.levels.items() if key[3] != place.person(name)}
