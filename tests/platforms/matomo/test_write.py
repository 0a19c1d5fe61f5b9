"""Writing: the fewest calls, each whole, each answer looked at; done is what reading shows."""

from __future__ import annotations

import pytest

from platforms.matomo.rig import BLOG, NEW_PASSWORD, RELEASES, SHOP, STAGING, MatomoRig, given, grant, taken, top, world
from platforms.proxy import Page
from siteward.access.change import Change
from siteward.access.model import Account, Grant, account_key
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.matomo.fake.php import md5
from siteward.platforms.matomo.platform import PLATFORM
from siteward.transport.errors import OutcomeUnknownError, RefusedError, UnauthenticatedError

BEN = WorldAccount(login="ben", email="ben@example.org")
ZOE = given(Account("zoe", "zoe@example.org"))


@pytest.mark.parametrize("release", RELEASES)
def test_grants_of_one_person_and_role_are_one_call(release: str) -> None:
    rig = MatomoRig.of(release, world([BEN]))
    live = rig.read()
    changes = [given(grant("ben", site, "view")) for site in (SHOP, BLOG, STAGING)]
    (bundle,) = PLATFORM.bundle(changes, live)
    assert bundle.changes == tuple(changes)
    assert [receipt.status for receipt in rig.write(*changes, live=live)] == ["sent"] * 3
    assert rig.fake.writes == 1
    assert rig.rows("ben") == {("ben", 1, "view"), ("ben", 2, "view"), ("ben", 3, "view")}


def test_a_role_is_written_with_all_its_capabilities_in_one_call() -> None:
    rig = MatomoRig.of(
        "5.3", world([BEN], [WorldGrant(account="ben", site=SHOP, role="view", extras=("tagmanager_write",))])
    )
    before = grant("ben", SHOP, "view", "tagmanager_write")
    after = grant("ben", SHOP, "write", "tagmanager_write", "tagmanager_publish_live_container")
    rig.write(Change(before, after))
    assert rig.rows("ben") == {("ben", 1, "write"), ("ben", 1, "tagmanager_publish_live_container")}
    seen = rig.refresh(after.key)[after.key]
    assert seen == grant("ben", SHOP, "write", "tagmanager_publish_live_container")


@pytest.mark.parametrize("release", ["5.3", "4.16"])
def test_an_invited_person_begins_with_a_site_of_their_own_and_the_right_role(release: str) -> None:
    rig = MatomoRig.of(release)
    plan = (
        ZOE,
        given(grant("zoe", STAGING, "admin")),
        given(grant("zoe", BLOG, "write", "tagmanager_publish_live_container")),
    )
    live = rig.read()
    first, *rest = rig.bundles(plan, live)
    (receipt,) = PLATFORM.write(rig.doors.writer, first, live)
    assert (receipt.status, receipt.sends) == ("sent", 2)
    assert rig.rows("zoe") == {("zoe", 2, "write"), ("zoe", 2, "tagmanager_publish_live_container")}
    assert [mail.to for mail in rig.fake.state.mails] == ["root@example.test", "zoe@example.org"]
    for bundle in rest:
        PLATFORM.write(rig.doors.writer, bundle, live)
    account = rig.read().access[account_key("zoe")]
    assert isinstance(account, Account)
    assert account.status == "pending"


def test_a_future_superuser_is_invited_and_keeps_nothing_of_the_first_site() -> None:
    rig = MatomoRig.of("5.3")
    live = rig.read()
    first, second = rig.bundles((ZOE, given(top("zoe"))), live)
    PLATFORM.write(rig.doors.writer, first, live)
    assert rig.rows("zoe") == set()
    PLATFORM.write(rig.doors.writer, second, live)
    assert top("zoe") in set(rig.read().access.grants())


def test_an_invitation_without_a_site_is_not_sent() -> None:
    rig = MatomoRig.of("5.3")
    (receipt,) = rig.write(ZOE)
    assert receipt.status == "failed"
    assert "first site" in receipt.message
    assert rig.fake.writes == 0


@pytest.mark.parametrize("release", ["3.14", "2.18"])
def test_without_invitations_an_account_gets_the_password_that_was_delivered(release: str) -> None:
    rig = MatomoRig.of(release)
    (receipt,) = rig.write(ZOE)
    assert (receipt.status, receipt.ids) == ("sent", {})  # only reading shows `date_registered`
    user = rig.fake.state.user("zoe")
    assert user is not None
    assert user.password == md5(NEW_PASSWORD)


def test_without_a_password_no_account_is_made() -> None:
    rig = MatomoRig.of("3.14")
    live = rig.read()
    (bundle,) = PLATFORM.bundle([ZOE], live)
    (receipt,) = PLATFORM.write(rig.doors.writer, bundle, live)
    assert receipt.status == "failed"
    assert rig.fake.state.user("zoe") is None


@pytest.mark.parametrize("release", RELEASES)
def test_superusers_are_made_and_unmade(release: str) -> None:
    rig = MatomoRig.of(release, world([BEN]))
    assert [receipt.status for receipt in rig.write(given(top("ben")))] == ["sent"]
    assert top("ben") in set(rig.read().access.grants())
    rig.write(taken(top("ben")), given(grant("ben", SHOP, "view")))
    assert {grant for grant in rig.read().access.grants() if grant.subject.name == "ben"} == {
        grant("ben", SHOP, "view")
    }


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("email", ["b+en@example.org", "o'brien&co@example.org"])
def test_addresses_arrive_whole_also_where_bulks_damage_them(release: str, email: str) -> None:
    rig = MatomoRig.of(release, world([BEN]))
    (receipt,) = rig.write(Change(Account("ben", "ben@example.org"), Account("ben", email)))
    assert receipt.status == "sent", receipt.message
    user = rig.fake.state.user("ben")
    assert user is not None
    assert user.email == email


def test_what_cannot_share_a_bulk_stands_alone() -> None:
    rig = MatomoRig.of("4.16", world([BEN, WorldAccount(login="mia")]))
    email = Change(Account("ben", "ben@example.org"), Account("ben", "a&b@example.org"))
    changes = [given(grant("mia", SHOP, "view")), email, given(grant("mia", BLOG, "admin"))]
    assert [len(bundle.changes) for bundle in PLATFORM.bundle(changes, rig.read())] == [1, 1, 1]


def test_a_failure_is_of_its_own_changes_alone() -> None:
    rig = MatomoRig.of("5.3", world([BEN, WorldAccount(login="mia")]))
    live = rig.read()
    rig.fake.state.locks.add("mia")
    changes = (given(grant("mia", SHOP, "view")), given(grant("mia", BLOG, "view")), given(grant("ben", SHOP, "view")))
    receipts = {receipt.key: receipt for receipt in rig.write(*changes, live=live)}
    assert [receipts[change.key].status for change in changes] == ["failed", "failed", "sent"]
    assert "try again" in (receipts[changes[0].key].hint or "")


def test_the_servers_words_are_passed_on() -> None:
    rig = MatomoRig.of("5.3", world([BEN]))
    live = rig.read()
    rig.fake.state.settings["enable_users_admin"] = "0"
    (receipt,) = rig.write(given(grant("ben", SHOP, "view")), live=live)
    assert receipt.message == "Creating, updating, and deleting users has been disabled."


def test_a_wrong_password_is_sent_once() -> None:
    rig = MatomoRig.of("5.3", world([WorldAccount(login=f"u{at}") for at in range(70)]), password="wrong-password")
    live = rig.read()
    receipts = rig.write(*(given(top(f"u{at}")) for at in range(70)), live=live)
    assert {receipt.status for receipt in receipts} == {"failed"}
    assert "credential PASSWORD" in (receipts[0].hint or "")
    assert len(rig.fake.state.failures) == 1
    assert rig.requests == 3


def test_a_token_that_is_revoked_on_the_way_ends_the_run() -> None:
    rig = MatomoRig.of("5.3", world([BEN]))
    live = rig.read()
    rig.fake.state.tokens.clear()
    for _ in range(30):
        with pytest.raises(UnauthenticatedError):
            rig.write(given(grant("ben", SHOP, "view")), live=live)
    assert len(rig.fake.state.failures) == 1


@pytest.mark.parametrize("fault", ["cut-after-write", "cut"])
def test_a_lost_answer_is_unknown_and_reading_settles_it(fault: str) -> None:
    rig = MatomoRig.of("5.3", world([BEN]))
    live = rig.read()
    wish = grant("ben", SHOP, "view")
    rig.fake.faults.append(Fault(fault))  # type: ignore[arg-type]
    (receipt,) = rig.write(given(wish), live=live)
    assert (receipt.status, receipt.repeatable, receipt.awaited) == ("unknown", True, False)
    assert rig.refresh(wish.key, live=live)[wish.key] == (wish if fault == "cut-after-write" else None)


def test_a_500_after_the_write_is_no_proof_of_anything() -> None:
    rig = MatomoRig.of("5.3", world([BEN]))
    live = rig.read()
    wish = grant("ben", SHOP, "view")
    rig.fake.faults.append(Fault("500-after-write"))
    (receipt,) = rig.write(given(wish), live=live)
    assert receipt.status == "unknown"
    assert rig.refresh(wish.key, live=live)[wish.key] == wish


def test_an_invitation_is_sent_again_only_where_one_is_open() -> None:
    rig = MatomoRig.of("5.3", world([BEN, WorldAccount(login="ivy", status="expired")]))
    live = rig.read()
    assert PLATFORM.resend is not None
    assert PLATFORM.resend(rig.doors.writer, "IVY", live).sends == 1
    assert PLATFORM.resend(rig.doors.writer, "ben", live).status == "failed"
    account = rig.read().access[account_key("ivy")]
    assert isinstance(account, Account)
    assert account.status == "pending"


@pytest.mark.parametrize("content", [b"<html>", b"", b"{}", b"[]", b"1"])
@pytest.mark.parametrize("status", [200, 302])
def test_a_mail_whose_answer_is_a_page_is_not_called_sent(content: bytes, status: int) -> None:
    """It cannot be read whether it went out, so it is open, and nobody sends it a second time."""
    rig = MatomoRig.of("5.3", world([WorldAccount(login="ivy", status="expired")]))
    live = rig.read()
    headers = {"Location": "https://sso.test/"} if status == 302 else {}
    rig.proxy.pages.append(Page("POST /index.php", passed=True, status=status, content=content, headers=headers))
    assert PLATFORM.resend is not None
    with pytest.raises(OutcomeUnknownError):
        PLATFORM.resend(rig.doors.writer, "ivy", live)
    assert len(rig.fake.state.mails) == 1


@pytest.mark.parametrize("release", RELEASES)
def test_a_deleted_account_is_gone(release: str) -> None:
    rig = MatomoRig.of(release, world([BEN]))
    live = rig.read()
    rig.write(taken(live.access[account_key("ben")]), live=live)
    assert rig.refresh(account_key("ben"), live=live) == {account_key("ben"): None}


def _many() -> tuple[MatomoRig, list[Change]]:
    """Return 300 people on 200 sites and the 14,700 rows of API.md's measurement as changes: 40, 5, 3 and 1 a role."""
    sites = tuple(WorldSite(name=f"S{at}", domain=f"s{at}.example.org") for at in range(200))
    people = tuple(WorldAccount(login=f"u{at:03}") for at in range(300))
    rig = MatomoRig.of("5.3", World(accounts=people, sites=sites))
    kinds = [("view",)] * 40 + [("write",)] * 5 + [("admin",)] * 3 + [("view", "tagmanager_write")]
    changes = [
        given(grant(person.login, f"s{(number + at) % 200}.example.org", kind[0], *kind[1:]))
        for number, person in enumerate(people)
        for at, kind in enumerate(kinds)
    ]
    return rig, changes


def test_300_people_on_200_sites_are_read_in_3_requests_and_rebuilt_in_30() -> None:
    rig, changes = _many()
    assert len(changes) == 14_700
    live = rig.read()
    assert rig.requests <= 3
    bundles = PLATFORM.bundle(changes, live)
    assert len(bundles) <= 30
    for bundle in bundles:
        assert {receipt.status for receipt in PLATFORM.write(rig.doors.writer, bundle, live)} == {"sent"}
    assert rig.fake.writes == len(bundles)
    before = rig.requests
    again = rig.read()
    assert rig.requests - before <= 3
    assert {change.after for change in changes} == {grant for grant in again.access.grants() if grant != top("root")}


def test_many_new_people_are_invited_few_at_a_time() -> None:
    rig = MatomoRig.of("5.3")
    changes = [given(Account(f"u{at:03}", f"u{at}@example.org")) for at in range(45)]
    assert [len(bundle.changes) for bundle in PLATFORM.bundle(changes, rig.read())] == [20, 20, 5]


@pytest.mark.parametrize("limit", [20, 8, 5, 1])
def test_a_bulk_that_is_refused_whole_is_halved(limit: int) -> None:
    """5.8 and later may bound bulks: nothing of a longer one runs, and no setting can be asked."""
    people = [WorldAccount(login=f"p{at:02}", email=f"p{at:02}@example.org") for at in range(40)]
    rig = MatomoRig.of("5.14", world(people))
    rig.fake.state.settings["API_bulk_request_limit"] = str(limit)
    live = rig.read()
    assert len(list(live.access.accounts())) == 42
    changes = [given(grant(person.login, SHOP, "view")) for person in people]
    assert {receipt.status for receipt in rig.write(*changes, live=live)} == {"sent"}
    before = rig.doors.writer.requests
    assert {receipt.status for receipt in rig.write(*map(_raised, changes), live=live)} == {"sent"}
    assert rig.doors.writer.requests - before <= -(-40 // max(1, limit // 2)) + 1, "the limit is learned once"
    assert rig.fake.state.sites_with("p39", "admin") == [1]


def _raised(change: Change) -> Change:
    after = change.after
    assert isinstance(after, Grant)
    return Change(after, grant(after.subject.name, SHOP, "admin"))


def test_a_bulk_that_is_refused_down_to_one_call_names_the_setting() -> None:
    rig = MatomoRig.of("5.14", world([BEN]))
    rig.fake.state.settings["API_bulk_request_limit"] = "0"
    with pytest.raises(RefusedError) as refused:
        rig.read()
    assert "API_bulk_request_limit" in (refused.value.hint or "")


@pytest.mark.parametrize("release", ["5.3", "4.16"])
def test_a_mail_that_fails_leaves_open_what_was_written(release: str) -> None:
    """The row is written before the mail is sent, so only reading tells; a refusal is still one."""
    rig = MatomoRig.of(release, world([BEN]), onboarding="password")
    rig.fake.state.mail_fails = True
    changed = Change(Account("ben", "ben@example.org"), Account("ben", "b@example.org"))
    receipts = rig.write(ZOE, changed, given(Account("ben2", "b@example.org")))
    assert [(receipt.status, receipt.sure) for receipt in receipts] == [
        ("failed", False),
        ("failed", False),
        ("failed", True),
    ]
    assert {rig.refresh(ZOE.key)[ZOE.key], rig.refresh(changed.key)[changed.key]} == {ZOE.after, changed.after}
    assert all("mail settings" in (receipt.hint or "") for receipt in receipts if not receipt.sure)
