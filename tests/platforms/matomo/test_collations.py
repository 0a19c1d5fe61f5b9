"""Logins as the server's database compares them: without case and accents, ß for s or for ss (recording 21)."""

from __future__ import annotations

import pytest

from platforms.matomo.rig import BLOG, RELEASES, SHOP, MatomoRig, given, grant, taken, world
from siteward.access.change import Change
from siteward.access.model import Account, account_key
from siteward.platforms.fakery import WorldAccount, WorldGrant
from siteward.platforms.matomo.fake.php import GENERAL
from siteward.platforms.matomo.platform import PLATFORM

OTHERS = "utf8mb4_unicode_ci"
MULLER = WorldAccount(login="muller", email="muller@example.org")
STRASSE = WorldAccount(login="strasse", email="a@example.org")
PETRA = given(Account("müller", "petra@example.org"))


@pytest.mark.parametrize("release", RELEASES)
def test_a_login_that_a_live_one_equals_without_accents_is_refused_in_the_plan(release: str) -> None:
    rig = MatomoRig.of(release, world([MULLER]), onboarding="password")
    assert rig.codes(PETRA) == ["login-taken"]


@pytest.mark.parametrize("new", ["straße", "strase", "STRÄSSE"])
def test_sharp_s_is_taken_for_one_s_and_for_two(new: str) -> None:
    rig = MatomoRig.of(
        "5.3", world([STRASSE, WorldAccount(login="strase", email="c@example.org")]), onboarding="password"
    )
    codes = rig.codes(given(Account(new, "x@example.org")))
    assert codes == ([] if new == "strase" else ["login-taken"])


def test_two_new_logins_that_the_database_takes_for_one_are_refused() -> None:
    rig = MatomoRig.of("5.3", onboarding="password")
    assert rig.codes(given(Account("muller", "m@example.org")), PETRA) == ["login-taken"]


@pytest.mark.parametrize("release", ["5.3", "4.16"])
@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("email", ["petra@example.org", "o'petra@example.org"])
def test_a_refused_invitation_gives_nobody_its_grant(release: str, email: str, *, seen: bool) -> None:
    """A bulk is no transaction: the grant would make the other account an admin, also one that came after reading."""
    rig = MatomoRig.of(release, world([MULLER] if seen else []))
    live = rig.read()
    if not seen:
        rig.fake.state.add_user("muller", "muller@example.org", "")
    first, *_ = rig.bundles((given(Account("müller", email)), given(grant("müller", BLOG, "admin"))), live)
    assert {receipt.status for receipt in PLATFORM.write(rig.doors.writer, first, live)} == {"failed"}
    assert rig.rows("muller") == set()
    assert rig.fake.writes == (0 if seen or (release, "'" in email) == ("4.16", True) else 2)


def test_what_follows_an_invitation_is_looked_at() -> None:
    rig = MatomoRig.of("5.3")
    live = rig.read()
    first, *_ = rig.bundles((given(Account("zoe", "zoe@example.org")), given(grant("zoe", BLOG, "admin"))), live)
    rig.fake.state.locks.add("zoe")
    (receipt,) = PLATFORM.write(rig.doors.writer, first, live)
    assert receipt.status == "sent"
    assert "Could not get the lock" in receipt.message


@pytest.mark.parametrize("release", RELEASES)
def test_a_row_under_an_accent_counts_for_the_account_it_works_for_and_is_healed(release: str) -> None:
    rig = MatomoRig.of(release, world([MULLER]))
    rig.fake.state.add_rows("müller", "admin", [1])
    live = rig.read()
    held = grant("muller", SHOP, "admin")
    assert held in set(live.access.grants())
    assert [finding.code for finding in live.findings] == ["stray-spelling"]
    rig.write(Change(held, grant("muller", SHOP, "view")), live=live)
    assert rig.rows("muller") == {("muller", 1, "view")}
    rig.fake.state.add_rows("müller", "admin", [2])
    rig.write(taken(grant("muller", BLOG, "admin")))
    assert rig.rows("muller") == {("muller", 1, "view")}


@pytest.mark.parametrize(("collation", "codes"), [(GENERAL, ["orphan-grant"]), (OTHERS, ["stray-spelling"])])
def test_the_server_is_asked_for_whom_a_row_works(collation: str, codes: list[str]) -> None:
    rig = MatomoRig.of("5.3", world([STRASSE]))
    rig.fake.state.collation = collation
    rig.fake.state.add_rows("straße", "admin", [1])
    live = rig.read()
    assert [finding.code for finding in live.findings] == codes
    assert (grant("strasse", SHOP, "admin") in set(live.access.grants())) == (collation == OTHERS)


def test_two_rows_that_the_server_keeps_apart_are_two_people() -> None:
    people = [STRASSE, WorldAccount(login="straße", email="b@example.org")]
    grants = [
        WorldGrant(account="strasse", site=SHOP, role="view"),
        WorldGrant(account="straße", site=BLOG, role="write"),
    ]
    rig = MatomoRig.of("5.3", world(people, grants), onboarding="password")
    live = rig.read()
    assert {grant("strasse", SHOP, "view"), grant("straße", BLOG, "write")} <= set(live.access.grants())
    rig.write(given(grant("straße", SHOP, "admin")), live=live)
    assert rig.rows("strasse") == {("strasse", 1, "view")}
    assert rig.rows("straße") == {("straße", 2, "write"), ("straße", 1, "admin")}
    rig.write(taken(live.access[account_key("straße")]), live=live)
    assert rig.fake.state.user("straße") is None
    assert rig.fake.state.user("strasse") is not None


@pytest.mark.parametrize("email", ["jörg@example.org", "jorg@müller.example"])
def test_an_e_mail_with_other_letters_than_ascii_is_refused_in_the_plan(email: str) -> None:
    rig = MatomoRig.of("5.3", onboarding="password")
    assert rig.codes(given(Account("zoe", email))) == ["email-form"]
    assert rig.codes(given(Account("zoe", "jorg@xn--mller-kva.example"))) == []


@pytest.mark.parametrize("release", ["5.3", "4.16"])
def test_an_e_mail_that_is_anothers_login_is_refused_in_the_plan(release: str) -> None:
    people = [WorldAccount(login="bob@example.org", email="q@example.org"), MULLER]
    rig = MatomoRig.of(release, world(people), onboarding="password")
    assert rig.codes(given(Account("zoe", "bob@example.org"))) == ["email-taken"]
    changed = Change(Account("muller", "muller@example.org"), Account("muller", "bob@example.org"))
    assert rig.codes(changed) == ["email-taken"]
    both = (given(Account("ann@example.org", "ann@x.example")), given(Account("zoe", "ann@example.org")))
    assert rig.codes(*both) == ["email-taken"]
    assert rig.codes(given(Account("zoe@example.org", "zoe@example.org"))) == []


@pytest.mark.parametrize("login", ["änonymous", "ÁNONYMOUS"])
def test_everybody_is_known_under_accents_too(login: str) -> None:
    """The server's guard looks at one spelling; its database finds everybody under all of them."""
    rig = MatomoRig.of("5.3")
    live = rig.read()
    change = given(grant(login, SHOP, "admin"))
    assert "public-view-only" in rig.codes(change, live=live)
    assert [receipt.status for receipt in rig.write(change, live=live)] == ["failed"]
