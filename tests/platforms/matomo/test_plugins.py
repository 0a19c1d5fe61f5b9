"""Plugins that own access: what sleeps while they are off, and what is beside Matomo's own rows (recordings 23, 26, 27)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from platforms.matomo.rig import BLOG, SHOP, STAGING, MatomoRig, given, grant, site, taken, top, world
from siteward.access.change import Change
from siteward.access.diagnostic import Span
from siteward.access.effective import effective
from siteward.access.model import Access, Account, Power, account_key
from siteward.access.policy import Policy
from siteward.access.proposal import manage
from siteward.access.state import DeclaredUser, Desired
from siteward.platforms.fakery import WorldAccount, WorldGrant
from siteward.platforms.matomo.fake.call import METHODS
from siteward.platforms.matomo.fake.release import RELEASES
from siteward.platforms.matomo.fake.state import Session, UserGroup
from siteward.platforms.matomo.platform import PLATFORM

if TYPE_CHECKING:
    from siteward.access.model import Grant
    from siteward.access.state import Ending

CAPABLE = ["5.3", "4.16", "3.14"]
BB = WorldAccount(login="bb", email="bb@example.org")
MIA = WorldAccount(login="mia", email="mia@example.org")
TAGS = "tagmanager_write"


def _off(release: str) -> MatomoRig:
    """Return a rig at a server on which bb has view with a capability, and whose TagManager is then switched off."""
    grants = [WorldGrant(account="bb", site=SHOP, role="view", extras=(TAGS,)),
              WorldGrant(account="bb", site=BLOG, role="view"), WorldGrant(account="mia", site=SHOP, role="view")]  # fmt: skip
    rig = MatomoRig.of(release, world([BB, MIA], grants))
    rig.fake.state.plugins["TagManager"] = False
    return rig


@pytest.mark.parametrize("release", CAPABLE)
def test_what_sleeps_is_read_and_told(release: str) -> None:
    live = _off(release).read()
    assert live.access[grant("bb", SHOP, "view").key] == grant("bb", SHOP, "view", TAGS)
    (said,) = live.findings
    assert (said.code, said.blocks) == ("capability-asleep", False)
    assert "TagManager" in said.message
    assert "bb" in said.message


@pytest.mark.parametrize("release", CAPABLE)
def test_a_plugin_that_is_off_blocks_its_people_alone(release: str) -> None:
    """And what sleeps is kept: a role written without it would destroy it."""
    rig = _off(release)
    live = rig.read()
    lost = Change(grant("bb", SHOP, "view", TAGS), grant("bb", SHOP, "write"))
    more = Change(grant("bb", BLOG, "view"), grant("bb", BLOG, "view", TAGS))
    fine = (Change(grant("mia", SHOP, "view"), grant("mia", SHOP, "write")), given(grant("bb", STAGING, "write")))
    said = [diagnostic for diagnostic in rig.review(lost, more, *fine, live=live) if diagnostic.blocks]
    assert [(diagnostic.code, diagnostic.about) for diagnostic in said] == [
        ("capability-asleep", lost.key),
        ("capability-asleep", more.key),
    ]
    statuses = {receipt.key: receipt.status for receipt in rig.write(lost, more, *fine, live=live)}
    assert {key for key, status in statuses.items() if status == "failed"} == {lost.key, more.key}
    assert {("bb", 1, "view"), ("bb", 1, TAGS), ("bb", 3, "write")} <= rig.rows("bb")
    rig.fake.state.plugins["TagManager"] = True
    assert rig.read().access[lost.key] == grant("bb", SHOP, "view", TAGS)


def test_taking_all_access_takes_what_sleeps_too() -> None:
    rig = _off("5.3")
    gone = taken(grant("bb", SHOP, "view", TAGS))
    assert rig.codes(gone) == []
    rig.write(gone)
    assert rig.rows("bb") == {("bb", 2, "view")}


def test_a_plugin_that_goes_off_between_two_readings_takes_nothing_away() -> None:
    rig = MatomoRig.of("5.3", world([BB], [WorldGrant(account="bb", site=SHOP, role="view", extras=(TAGS,))]))
    live = rig.read()
    rig.fake.state.plugins["TagManager"] = False
    held = grant("bb", SHOP, "view", TAGS)
    assert rig.refresh(held.key, live=live) == {held.key: held}


@pytest.mark.parametrize("release", CAPABLE)
def test_beside_ldap_no_password_is_needed(release: str) -> None:
    """As LoginLdap is shipped the server asks for none; where it was set to ask, the step fails by itself."""
    rig = MatomoRig.of(release, world([BB]), password=None)
    changes = (given(top("bb")), Change(Account("bb", "bb@example.org"), Account("bb", "b@example.org")))
    assert rig.codes(*changes) == ["password-missing"] * 2
    rig.fake.state.plugins["LoginLdap"] = True
    assert rig.codes(*changes) == []
    assert [diagnostic.code for diagnostic in rig.review(*changes)].count("password-not-asked") == 2
    assert "LoginLdap" in " ".join(PLATFORM.reach(rig.doors.reader, rig.settings, rig.probe()).notes)
    assert [receipt.status for receipt in rig.write(*changes)] == ["sent", "sent"]
    rig.fake.state.directory.confirms_password = True
    (receipt,) = rig.write(taken(top("bb")))
    assert (receipt.status, receipt.message) == ("failed", "Please enter your password to confirm this change.")
    assert rig.fake.state.failures == []


def _logged_in(rig: MatomoRig, login: str) -> bool:
    return any(session.login == login for session in rig.fake.state.sessions.values())


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("superuser", [False, True])
def test_who_loses_all_is_logged_out_where_the_release_can(*, absent: bool, superuser: bool) -> None:
    grants = [WorldGrant(account="mia", site=place, role="view") for place in (SHOP, BLOG)]
    people = [WorldAccount(login="bb", email="bb@example.org", role="superuser" if superuser else None), MIA]
    own = [] if superuser else [WorldGrant(account="bb", site=place, role="view") for place in (SHOP, BLOG)]
    rig = MatomoRig.of("5.3", world(people, [*grants, *own]))
    rig.fake.state.release = RELEASES["5.14"]
    for login in ("bb", "mia"):
        rig.fake.state.sessions[login] = Session(login, login)
    live = rig.read()
    all_of_bb = [taken(grant) for grant in live.access.grants() if grant.subject.name == "bb"]
    plan = [*all_of_bb, taken(grant("mia", SHOP, "view")), *([taken(live.access[account_key("bb")])] if absent else [])]
    assert {receipt.status for receipt in rig.write(*plan, live=live)} == {"sent"}
    assert (_logged_in(rig, "bb"), _logged_in(rig, "mia")) == (False, True)


def test_who_goes_from_one_site_to_another_stays_logged_in() -> None:
    rig = MatomoRig.of("5.3", world([BB], [WorldGrant(account="bb", site=SHOP, role="view")]))
    rig.fake.state.release = RELEASES["5.14"]
    rig.fake.state.sessions["bb"] = Session("bb", "bb")
    rig.write(taken(grant("bb", SHOP, "view")), given(grant("bb", BLOG, "view")))
    assert _logged_in(rig, "bb")


def test_a_log_out_that_fails_never_fails_the_step() -> None:
    rig = MatomoRig.of("5.3", world([BB], [WorldGrant(account="bb", site=SHOP, role="view")]))
    rig.fake.state.release = RELEASES["5.14"]
    live = rig.read()
    rig.fake.state.release = RELEASES["5.3"]
    (receipt,) = rig.write(taken(grant("bb", SHOP, "view")), live=live)
    assert receipt.status == "sent"
    assert "logoutUser" in receipt.message
    assert rig.rows("bb") == set()


BOB = WorldAccount(login="bob", email="bob@example.org")


def _grouped(release: str, *grants: WorldGrant) -> MatomoRig:
    """Return a rig at a server where bob is admin of two sites by the group editors."""
    rig = MatomoRig.of(release, world([BOB, MIA], grants))
    state = rig.fake.state
    state.plugins["GroupPermissions"] = True
    state.groups = {
        1: UserGroup("editors", ["bob", "root"], {2: "admin", 3: "admin", 99: "admin"}),
        2: UserGroup("empty"),
    }
    return rig


def _by_groups(rig: MatomoRig, *wishes: Grant, ending: Ending | None = None, **policy: Any) -> list[str]:
    """Return what the plan tells of rights by groups, where the file wishes these grants for bob."""
    live, user = rig.read(), DeclaredUser(handle="bob", at=Span("access.yaml", 3, 1), ending=ending)
    account = () if ending == "absent" else (Account("bob"),)
    desired = Desired(access=Access((*account, *wishes)), declared_users={"bob": user}, managed=frozenset(live.sites))
    found = manage(live, desired, rig.probe(), Policy(admins_min=0, **policy), None)
    assert all(diagnostic.differs for diagnostic in found.diagnostics if diagnostic.code == "held-by-group")
    return [diagnostic.message for diagnostic in found.diagnostics if diagnostic.code == "held-by-group"]


@pytest.mark.parametrize("release", CAPABLE)
@pytest.mark.parametrize("ending", [None, "suspended", "expired"])
def test_what_groups_of_a_plugin_give_is_read_and_told_by_name(release: str, ending: Ending | None) -> None:
    (said,) = _by_groups(_grouped(release), ending=ending)
    assert said.startswith(
        f"bob has admin on {BLOG} (nothing declared), admin on {STAGING} (nothing declared): held by group editors"
    )
    live, traits = _grouped(release).read(), _grouped(release).probe()
    assert effective(live.access, traits, "bob", site(BLOG)).power is Power.MANAGE
    assert effective(live.access, traits, "bob", site(SHOP)).power is Power.NONE
    assert traits.blind_spots == ()


def test_what_a_group_gives_is_told_where_the_plan_takes_what_covered_it() -> None:
    own = [WorldGrant(account="bob", site=place, role="admin") for place in (BLOG, STAGING)]
    rig = _grouped("5.3", *own)
    assert _by_groups(rig, *(grant("bob", place, "admin") for place in (BLOG, STAGING))) == []
    (said,) = _by_groups(rig, grant("bob", BLOG, "write"), grant("bob", STAGING, "admin"))
    assert f"admin on {BLOG} (write declared)" in said
    assert STAGING not in said


def test_an_account_that_is_to_be_deleted_keeps_nothing() -> None:
    assert _by_groups(_grouped("5.3"), ending="absent") == []


def test_what_a_revoked_account_keeps_by_a_group_is_told() -> None:
    """An account that nobody declared is told as such, and where it is revoked with what stays."""
    cases: tuple[tuple[Literal["report", "revoke"], int], ...] = (("report", 0), ("revoke", 1))
    for unmanaged, told in cases:
        rig = _grouped("5.3")
        live = rig.read()
        desired = Desired(access=Access(), managed=frozenset(live.sites))
        found = manage(live, desired, rig.probe(), Policy(admins_min=0, unmanaged=unmanaged), None)
        assert [excess.account for excess in found.excess] == ["bob", "bob"][: 2 * told]


def test_groups_are_never_changed() -> None:
    """Also where nothing that is live is wished for."""
    rig = _grouped("5.3")
    live = rig.read()
    desired = Desired(access=Access(), managed=frozenset(live.sites))
    found = manage(live, desired, rig.probe(), Policy(admins_min=0, unmanaged="remove"), None).changes
    assert {change.key for change in found} == {account_key("bob"), account_key("mia")}


def test_a_plugin_that_is_off_gives_nothing_and_costs_nothing() -> None:
    rig = _grouped("5.3")
    rig.fake.state.plugins["GroupPermissions"] = False
    before = rig.requests
    assert not rig.read().access.members()
    assert rig.requests - before == 2
    assert _by_groups(rig) == []


@pytest.mark.parametrize(
    ("group", "said"),
    [
        (UserGroup("editors"), "several groups of GroupPermissions are called editors"),
        (UserGroup("others", ["mia"], {1: "auditor"}), "groups of GroupPermissions have auditor, which is no role"),
    ],
)
def test_rights_by_groups_that_are_not_told_are_a_difference(group: UserGroup, said: str) -> None:
    """Of two groups of one name the plugin tells the last one's roles, so that who is in the first would seem to have none."""
    rig = _grouped("5.3")
    rig.fake.state.groups[3] = group
    (found,) = [finding for finding in rig.read().findings if finding.code == "group-rights-unclear"]
    assert found.message.startswith(said)
    assert found.differs
    assert not [finding for finding in _grouped("5.3").read().findings if finding.code == "group-rights-unclear"]


def test_groups_that_cannot_be_read_are_a_blind_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another release of the plugin has no such method."""
    rig = _grouped("5.3")
    monkeypatch.delitem(METHODS, "GroupPermissions.getAllGroups")
    traits = rig.probe()
    assert traits.blind_spots == ("group-permissions",)
    assert PLATFORM.widest.blind_spots == traits.blind_spots, "so that a file may accept it"
    assert _by_groups(rig) == []
