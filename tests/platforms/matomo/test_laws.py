"""The adapter's own laws, on random worlds of every release; those of the whole house are in tests/laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platforms.matomo.rig import NOW, RELEASES, MatomoRig
from platforms.matomo.worlds import worlds
from siteward.access.change import Change, diff, order
from siteward.access.model import EVERYWHERE, Access, Account, Grant, account_of
from siteward.platforms.matomo.fake import FAKE
from siteward.platforms.matomo.platform import PLATFORM

if TYPE_CHECKING:
    from siteward.platforms.fakery import World

FEW = settings(max_examples=max(1, settings().max_examples // 4))


def rig(world: World, release: str) -> MatomoRig:
    return MatomoRig(FAKE.of(world, release, clock=lambda: NOW))


@pytest.mark.parametrize("release", RELEASES)
@FEW
@given(data=st.data())
def test_reading_shows_what_a_world_holds(release: str, data: st.DataObject) -> None:
    world = data.draw(worlds(release))
    live = rig(world, release).read()
    assert {account.name for account in live.access.accounts()} == {account.login for account in world.accounts} | {
        "root",
        "anonymous",
    }
    found = {
        (grant.subject.name, grant.scope.name, grant.role, tuple(sorted(grant.extras or ())))
        for grant in live.access.grants()
        if grant.scope.kind == "site"
    }
    assert found == {(grant.account, grant.site, grant.role, grant.extras) for grant in world.grants}


@pytest.mark.parametrize("release", RELEASES)
@FEW
@given(data=st.data())
def test_writing_the_difference_of_two_worlds_leads_from_one_to_the_other(release: str, data: st.DataObject) -> None:
    """Law: after all bundles, reading shows what was wanted; nobody outside the plan is touched."""
    here = rig(data.draw(worlds(release)), release)
    wanted = rig(data.draw(worlds(release)), release).read()
    live = here.read()
    changes = [change for change in diff(live.access, wanted.access) if _is_wished(change, wanted.access, here)]
    row = order(changes, here.probe())
    outside = (
        set(live.access) - {change.key for change in row} - _of({account_of(change.key) for change in row}, live.access)
    )
    assert not [diagnostic for diagnostic in here.review(*row, live=live) if diagnostic.blocks]
    receipts = here.write(*row, live=live)
    assert {receipt.status for receipt in receipts} <= {"sent"}, [
        receipt for receipt in receipts if receipt.status != "sent"
    ]
    after = here.read()
    for change in row:
        assert after.access.get(change.key) == change.after
    assert {key: after.access.get(key) for key in outside} == {key: live.access[key] for key in outside}


def _is_wished(change: Change, wanted: Access, here: MatomoRig) -> bool:
    """Tell whether the house would plan a change.

    Nobody is invited to nothing, and from who becomes a superuser nothing is taken: Matomo takes it.
    """
    name = account_of(change.key)
    tops = {grant.subject.name for grant in wanted.grants() if grant.scope == EVERYWHERE}
    if isinstance(change.before, Grant) and change.after is None and name in tops:
        return False
    new = change.before is None and isinstance(change.after, Account)
    granted = {grant.subject.name for grant in wanted.grants()}
    return not new or name in granted or here.probe().onboarding != {"invite"}


def _of(names: set[str | None], access: Access) -> set[tuple[str, ...]]:
    return {key for key in access if account_of(key) in names}


@pytest.mark.parametrize("release", RELEASES)
@FEW
@given(data=st.data())
def test_bundles_carry_every_change_once_and_no_more_than_fifty_calls(release: str, data: st.DataObject) -> None:
    here = rig(data.draw(worlds(release)), release)
    live = here.read()
    changes = diff(live.access, rig(data.draw(worlds(release)), release).read().access)
    carried = [change for bundle in PLATFORM.bundle(changes, live) for change in bundle.changes]
    assert sorted(map(repr, carried)) == sorted(map(repr, changes))
    people = [account_of(change.key) for change in carried if isinstance(change.after, Grant)]
    assert all(people)
