"""What a plan for Matomo is told before anything is sent: what cannot be, and what happens besides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from platforms.matomo.rig import BLOG, RELEASES, SHOP, MatomoRig, given, grant, site, taken, top, world
from siteward.access.change import Change
from siteward.access.model import Account, account_key
from siteward.access.state import Live
from siteward.platforms.fakery import WorldAccount, WorldGrant

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic

BEN = WorldAccount(login="ben", email="ben@example.org")
ZOE = given(Account("zoe", "zoe@example.org"))
VIEW = given(grant("zoe", SHOP, "view"))


def by(effect: str, said: tuple[Diagnostic, ...]) -> list[Diagnostic]:
    return [diagnostic for diagnostic in said if diagnostic.effect == effect]


def mails(said: tuple[Diagnostic, ...]) -> dict[str | None, int]:
    return {diagnostic.who: diagnostic.count for diagnostic in by("mail", said)}


@pytest.mark.parametrize("release", RELEASES)
def test_a_sound_plan_meets_no_objection(release: str) -> None:
    assert MatomoRig.of(release, world([BEN])).codes(ZOE, VIEW, given(top("ben"))) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (given(Account("has space", "a@example.org")), "login-form"),
        (given(Account("x", "a@example.org")), "login-form"),
        (given(Account("é" * 51, "a@example.org")), "login-form"),
        (given(Account("Anonymous", "a@example.org")), "reserved-login"),
        (given(Account("BEN", "a@example.org")), "login-taken"),
        (given(Account("ben@example.org", "a@example.org")), "login-taken"),
        (given(Account("zoe", "ben@EXAMPLE.org")), "email-taken"),
        (given(Account("zoe", "zoe@localhost")), "email-form"),
        (given(Account("zoe", None)), "email-needed"),
    ],
)
def test_an_account_the_server_would_refuse_is_refused_in_the_plan(change: Change, code: str) -> None:
    assert code in MatomoRig.of("5.3", world([BEN]), onboarding="password").codes(change)


def test_an_invitation_needs_a_site_to_begin_with() -> None:
    assert MatomoRig.of("5.3").codes(ZOE) == ["invitation-needs-site"]
    assert MatomoRig.of("5.3").codes(ZOE, VIEW) == []
    assert MatomoRig.of("5.3").codes(ZOE, given(top("zoe"))) == []
    assert MatomoRig.of("5.3", onboarding="password").codes(ZOE) == []
    assert MatomoRig.of("3.14").codes(ZOE) == []


def test_an_old_release_cannot_be_told_to_invite() -> None:
    assert MatomoRig.of("3.14", onboarding="invite").codes(ZOE, VIEW) == ["cannot-invite"]


@pytest.mark.parametrize("release", RELEASES)
def test_what_needs_the_password_is_blocked_without_it_and_the_rest_is_not(release: str) -> None:
    rig = MatomoRig.of(release, world([BEN]), password=None)
    email = Change(Account("ben", "ben@example.org"), Account("ben", "b@example.org"))
    case_only = Change(Account("ben", "ben@example.org"), Account("ben", "Ben@example.org"))
    plan = (given(top("ben")), email, case_only, ZOE, VIEW)
    blocked = {diagnostic.about for diagnostic in rig.review(*plan) if diagnostic.blocks}
    assert blocked == (set() if release == "2.18" else {top("ben").key, account_key("ben")})
    assert rig.codes(case_only) == []


def test_who_would_be_nothing_but_a_superuser_is_not_made_without_the_password() -> None:
    rig = MatomoRig.of("5.3", password=None)
    assert rig.codes(ZOE, given(top("zoe"))) == ["password-missing", "password-missing"]


def test_the_missing_password_is_asked_for_in_words() -> None:
    (said,) = [
        diagnostic
        for diagnostic in MatomoRig.of("5.3", world([BEN]), password=None).review(given(top("ben")))
        if diagnostic.blocks
    ]
    assert "password of root" in said.message
    assert "PASSWORD" in (said.hint or "")


@pytest.mark.parametrize(
    ("release", "wanted"),
    [("5.3", {"root@example.test": 1, "zoe@example.org": 1}), ("4.16", {"root@example.test": 1, "zoe@example.org": 1}),
     ("3.14", {}), ("2.18", {})],
)  # fmt: skip
def test_mails_of_a_new_account(release: str, wanted: dict[str, int]) -> None:
    assert mails(MatomoRig.of(release).review(ZOE, VIEW)) == wanted


def test_mails_of_a_new_account_with_a_password_go_to_the_owner_of_the_token_alone() -> None:
    assert mails(MatomoRig.of("5.3", onboarding="password").review(ZOE, VIEW)) == {"root@example.test": 1}


@pytest.mark.parametrize(
    ("release", "status", "wanted"),
    [("5.3", "active", {"b@example.org": 1, "ben@example.org": 1}), ("5.3", "pending", {"b@example.org": 1}),
     ("4.16", "pending", {"b@example.org": 1, "ben@example.org": 1}),
     ("3.14", "active", {"b@example.org": 1, "ben@example.org": 1}), ("2.18", "active", {})],
)  # fmt: skip
def test_mails_of_a_changed_address(release: str, status: str, wanted: dict[str, int]) -> None:
    rig = MatomoRig.of(release, world([BEN.model_copy(update={"status": status})]))
    change = Change(Account("ben", "ben@example.org"), Account("ben", "b@example.org"))
    assert mails(rig.review(change)) == wanted
    rig.write(change)
    assert {mail.to.split("<")[-1].rstrip(">"): 1 for mail in rig.fake.state.mails} == wanted


@pytest.mark.parametrize(("release", "count"), [("5.3", 2), ("4.16", 0)])
def test_mails_of_opening_sites_to_everybody_go_to_each_superuser_once(release: str, count: int) -> None:
    rig = MatomoRig.of(release, world([WorldAccount(login="anna", role="superuser")]))
    plan = (given(grant("anonymous", SHOP, "view")), given(grant("anonymous", BLOG, "view")))
    assert sum(mails(rig.review(*plan)).values()) == count
    rig.write(*plan)
    assert len(rig.fake.state.mails) == count


def test_opening_a_site_is_said_on_every_site() -> None:
    said = MatomoRig.of("5.3").review(given(grant("anonymous", SHOP, "view")), given(grant("anonymous", BLOG, "view")))
    assert [diagnostic.code for diagnostic in by("opens", said)] == ["made-public", "made-public"]


def test_what_a_removal_destroys_is_said() -> None:
    rig = MatomoRig.of("5.3", world([BEN], [WorldGrant(account="ben", site=SHOP, role="view")]))
    live = rig.read()
    account = live.access[account_key("ben")]
    said = rig.review(taken(grant("ben", SHOP, "view")), taken(account), live=live)
    assert [diagnostic.code for diagnostic in by("destroys", said)] == ["reports-deleted", "account-deleted"]


def test_a_changed_role_destroys_nothing() -> None:
    rig = MatomoRig.of("5.3", world([BEN], [WorldGrant(account="ben", site=SHOP, role="admin")]))
    assert rig.review(Change(grant("ben", SHOP, "admin"), grant("ben", SHOP, "view"))) == ()


def test_closing_a_public_site_takes_no_reports() -> None:
    assert MatomoRig.of("5.3").review(taken(grant("anonymous", SHOP, "view"))) == ()


def test_a_live_state_of_another_platform_is_refused() -> None:
    with pytest.raises(TypeError, match="another adapter"):
        MatomoRig.of("5.3").review(ZOE, live=Live(access=MatomoRig.of("5.3").read().access))


def test_a_site_that_is_gone_is_refused() -> None:
    rig = MatomoRig.of("5.3", world([BEN]))
    live = rig.read()
    assert site("gone.example.org") not in live.sites
    assert rig.codes(given(grant("ben", "gone.example.org", "view")), live=live) == ["no-such-site"]


def test_an_invitation_that_ran_out_is_told_but_for_people_who_go() -> None:
    """Who is deleted, or loses all, is not to be invited again."""
    late = WorldAccount(login="late", email="late@example.org", status="expired")
    rig = MatomoRig.of("5.3", world([late, BEN], [WorldGrant(account="late", site=SHOP, role="view")]))
    live = rig.read()
    held = grant("late", SHOP, "view")
    told = {"invitation-expired": account_key("late")}
    (said_of_it,) = (diagnostic for diagnostic in rig.review(live=live) if diagnostic.code in told)
    assert re.search(r"ended at \d{4}-\d\d-\d\d \d\d:\d\dZ;", said_of_it.message)
    assert {diagnostic.code: diagnostic.about for diagnostic in rig.review(live=live) if diagnostic.hint} == told
    assert {
        diagnostic.code: diagnostic.about for diagnostic in rig.review(given(grant("ben", SHOP, "view")), live=live)
    } == told
    for plan in ([taken(held)], [taken(live.access[account_key("late")])]):
        said = rig.review(*plan, live=live)
        assert "invitation-expired" not in {diagnostic.code for diagnostic in said}
        assert not [diagnostic for diagnostic in said if "--resend" in f"{diagnostic.hint}"]


def test_edit_is_said_to_bring_the_tag_manager() -> None:
    rig = MatomoRig.of("5.3", world([BEN], [WorldGrant(account="ben", site=BLOG, role="admin")]))
    gained = [given(grant("ben", SHOP, "write")), Change(grant("ben", BLOG, "admin"), grant("ben", BLOG, "write"))]
    (said,) = [diagnostic for diagnostic in rig.review(*gained) if diagnostic.code == "edit-brings-tags"]
    assert "tagmanager_write" in said.message
    assert "1 account" in said.message
    assert not [diagnostic for diagnostic in rig.review(gained[1]) if diagnostic.code == "edit-brings-tags"]
    assert not [
        diagnostic
        for diagnostic in MatomoRig.of("2.18", world([BEN])).review(VIEW)
        if diagnostic.code == "edit-brings-tags"
    ]
