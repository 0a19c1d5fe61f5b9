"""The hazards of MAPPING section 3, all seen on real servers: one test each."""

from __future__ import annotations

from datetime import timedelta

import pytest

from platforms.matomo.rig import BLOG, NOW, RELEASES, SHOP, MatomoRig, given, grant, taken, top, world
from siteward.access.change import Change
from siteward.access.diagnostic import Span
from siteward.access.guards import judge
from siteward.access.model import Account, account_key
from siteward.access.policy import Policy
from siteward.access.proposal import manage
from siteward.access.state import DeclaredUser, Desired, Live
from siteward.platforms.fakery import Fault, WorldAccount, WorldGrant
from siteward.platforms.interface import native
from siteward.platforms.matomo import calls
from siteward.platforms.matomo.fake.state import Report
from siteward.platforms.matomo.native_state import NativeState
from siteward.platforms.matomo.platform import PLATFORM
from siteward.transport.errors import IncompleteError, UnauthenticatedError

HERE = Span("access.yaml", 1, 1)
ANNA = WorldAccount(login="anna", email="anna@example.org", role="superuser")
BEN = WorldAccount(login="ben", email="ben@example.org")


def blocked(rig: MatomoRig, live: Live, wish: Live, people: tuple[str, ...]) -> dict[str, object]:
    """Return what the core's guards block on the way from `live` to what `wish` holds, by code."""
    declared_users = {name: DeclaredUser(handle=name, at=HERE) for name in people}
    desired = Desired(access=wish.access, declared_users=declared_users, managed=frozenset(live.sites))
    proposal = manage(live, desired, rig.probe(), Policy(admins_min=1, unmanaged="revoke"), None)
    return {
        diagnostic.code: diagnostic.about
        for diagnostic in judge(proposal, as_of=NOW, confirmed=True)
        if diagnostic.blocks
    }


def test_the_owner_of_the_token_is_never_changed() -> None:
    """A superuser may demote or delete itself on the server while another exists."""
    rig = MatomoRig.of("5.3", world([ANNA]))
    live = rig.read()
    receipts = rig.write(taken(top("root")), taken(live.access[account_key("root")]), live=live)
    assert [receipt.status for receipt in receipts] == ["failed", "failed"]
    assert rig.fake.writes == 0


def test_a_pending_superuser_does_not_count_as_an_admin() -> None:
    """The server counts one, and its daily task then deletes it: nobody would be left."""
    rig = MatomoRig.of("5.3", world([ANNA, WorldAccount(login="boss", role="superuser", status="pending")]))
    live = rig.read()
    without = MatomoRig.of("5.3", world([WorldAccount(login="anna", email="anna@example.org"),
                                    WorldAccount(login="boss", role="superuser", status="pending")])).read()  # fmt: skip
    assert blocked(rig, live, without, ("anna", "boss")).get("too-few-admins") == top("anna").key


def test_the_daily_task_takes_a_pending_superuser_away() -> None:
    rig = MatomoRig.of("5.3", world([WorldAccount(login="boss", role="superuser", status="pending")]))
    rig.fake.state.clock = lambda: NOW + timedelta(days=11)
    rig.fake.run_daily_tasks()
    assert rig.fake.state.user("boss") is None


@pytest.mark.parametrize("release", RELEASES)
def test_making_a_superuser_shows_the_grants_it_wipes(release: str) -> None:
    grants = [WorldGrant(account="ben", site=site, role="view") for site in (SHOP, BLOG)]
    rig = MatomoRig.of(release, world([BEN], grants))
    (said,) = [diagnostic for diagnostic in rig.review(given(top("ben"))) if diagnostic.effect == "destroys"]
    assert (said.count, said.about) == (2, top("ben").key)
    rig.write(given(top("ben")))
    assert rig.rows("ben") == set()


def test_one_grant_that_a_promotion_wipes_is_no_plural() -> None:
    rig = MatomoRig.of("5.3", world([BEN], [WorldGrant(account="ben", site=SHOP, role="view")]))
    (said,) = [diagnostic for diagnostic in rig.review(given(top("ben"))) if diagnostic.effect == "destroys"]
    assert said.message.startswith("replaces 1 grant on sites")


def test_a_demotion_gives_the_grants_back_in_the_same_plan() -> None:
    rig = MatomoRig.of("5.3", world([ANNA]))
    live = rig.read()
    rig.write(taken(top("anna")), given(grant("anna", SHOP, "view")), live=live)
    assert rig.rows("anna") == {("anna", 1, "view")}


@pytest.mark.parametrize(("change", "flag"), [(given(top("ben")), "1"), (taken(top("ben")), "0")])
def test_the_superuser_flag_is_one_or_nought_and_never_a_word(change: Change, flag: str) -> None:
    """The text `false` means true."""
    live = MatomoRig.of("5.3", world([BEN])).read()
    (planned,) = calls.plan([change], calls.Situation(live, native(live, NativeState)))
    assert planned.calls[0].arguments["hasSuperUserAccess"] == flag


@pytest.mark.parametrize("login", ["Anonymous", "ANONYMOUS", "anonymous"])
@pytest.mark.parametrize("role", ["write", "admin"])
def test_nobody_gets_the_whole_internet_as_admin(login: str, role: str) -> None:
    rig = MatomoRig.of("5.3")
    live = rig.read()
    change = given(grant(login, SHOP, role))
    assert "public-view-only" in rig.codes(change, live=live)
    assert [receipt.status for receipt in rig.write(change, live=live)] == ["failed"]
    assert rig.rows("anonymous") == set()


def test_no_variant_of_anonymous_becomes_superuser_or_account() -> None:
    rig = MatomoRig.of("5.3")
    live = rig.read()
    assert "public-superuser" in rig.codes(given(top("Anonymous")), live=live)
    changes = (given(top("Anonymous")), given(Account("ANONYMOUS", "a@example.org")))
    assert {receipt.status for receipt in rig.write(*changes, live=live)} == {"failed"}
    assert rig.fake.writes == 0


def test_one_failure_ends_the_run() -> None:
    """Twenty-one would lock the address out for an hour, good tokens included."""
    rig = MatomoRig.of("5.3", world([BEN]))
    live = rig.read()
    rig.fake.faults.append(Fault("expire-token", times=0))
    for _ in range(25):
        with pytest.raises(UnauthenticatedError):
            rig.write(given(grant("ben", SHOP, "view")), live=live)
    rig.fake.faults.clear()
    assert len(rig.fake.state.failures) == 1


def test_logins_are_written_in_the_spelling_of_the_server() -> None:
    """Another case writes rows that nobody sees, for superusers too."""
    rig = MatomoRig.of("5.3", world([BEN]))
    rig.write(given(grant("BEN", SHOP, "view")))
    assert rig.rows("ben") == {("ben", 1, "view")}


def test_a_site_that_does_not_exist_is_never_written() -> None:
    """A superuser's token may, and a later site of that id inherits the grant."""
    rig = MatomoRig.of("5.3", world([BEN]))
    live = rig.read()
    change = given(grant("ben", "gone.example.org", "view"))
    assert [receipt.status for receipt in rig.write(change, live=live)] == ["failed"]
    assert rig.fake.writes == 0


def test_no_account_is_made_of_a_login_that_grants_are_kept_for() -> None:
    """Rows of a login that was deleted outside wait for the next account of that name."""
    rig = MatomoRig.of("5.3")
    rig.fake.state.add_rows("ghost", "admin", [1])
    plan = (given(Account("Ghost", "ghost@example.org")), given(grant("Ghost", SHOP, "view")))
    assert rig.codes(*plan) == ["login-has-grants"]


def test_a_cut_list_never_looks_like_everybody_else_is_gone() -> None:
    rig = MatomoRig.of("5.3", world([WorldAccount(login=f"u{at:03}") for at in range(200)]))
    traits = rig.probe()
    rig.fake.faults.append(Fault("lying-total", times=0))
    with pytest.raises(IncompleteError):
        PLATFORM.read(rig.doors.reader, rig.settings, traits)


def test_a_pending_account_is_never_given_a_password() -> None:
    """It would be usable, and deleted with its invitation all the same."""
    rig = MatomoRig.of("5.3", world([WorldAccount(login="ivy", email="ivy@example.org", status="pending")]))
    rig.write(Change(Account("ivy", "ivy@example.org"), Account("ivy", "new@example.org")))
    ivy = rig.fake.state.user("ivy")
    assert ivy is not None
    assert (ivy.email, ivy.password) == ("new@example.org", "")


def test_taking_all_access_is_said_to_destroy_reports_and_a_role_change_keeps_them() -> None:
    rig = MatomoRig.of("5.3", world([BEN], [WorldGrant(account="ben", site=SHOP, role="admin")]))
    rig.fake.state.reports.append(Report(1, "ben", 1, "weekly"))
    live = rig.read()
    lower = Change(grant("ben", SHOP, "admin"), grant("ben", SHOP, "view"))
    rig.write(lower, live=live)
    assert len(rig.fake.state.reports) == 1
    removal = taken(grant("ben", SHOP, "view"))
    assert [diagnostic.effect for diagnostic in rig.review(removal, live=live)] == ["destroys"]
    rig.write(removal, live=live)
    assert rig.fake.state.reports == []


def test_deleting_an_account_is_said_to_destroy() -> None:
    rig = MatomoRig.of("5.3", world([BEN]))
    live = rig.read()
    said = rig.review(taken(live.access[account_key("ben")]), live=live)
    assert [diagnostic.code for diagnostic in said if diagnostic.effect == "destroys"] == ["account-deleted"]


def test_a_change_made_meanwhile_is_seen_before_writing() -> None:
    rig = MatomoRig.of("5.3", world([BEN]))
    live = rig.read()
    key = grant("ben", SHOP, "view").key
    rig.fake.state.add_rows("ben", "admin", [1])
    assert rig.refresh(key, live=live)[key] == grant("ben", SHOP, "admin")
