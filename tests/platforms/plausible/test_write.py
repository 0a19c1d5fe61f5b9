"""Writing through the Sites API: what it says is compared with what was asked, and with what stands there then."""

from __future__ import annotations

from typing import Any

import pytest

from platforms.plausible.at import ANNA, BEN, BLOG, CARLA, SHOP, give, grant, key, plausible, take, turn, world
from siteward.access.change import Change
from siteward.access.model import account_of
from siteward.platforms.forecast import Cost
from siteward.platforms.plausible.fake.state import State
from siteward.platforms.plausible.platform import PLATFORM
from siteward.platforms.plausible.write import ApiGuests


def test_an_invitation_is_sent_and_counted() -> None:
    """The mail is in the receipt, so that the journal remembers it."""
    with plausible() as at:
        receipt = at.write_one(give(CARLA, BLOG, "editor"))
        assert (receipt.status, receipt.sends) == ("sent", 1)
        assert at.shown(BLOG) == [f"{CARLA} editor invited"]
        assert at.refresh(key(CARLA, BLOG)) == {key(CARLA, BLOG): grant(CARLA, BLOG, "editor")}
        assert at.fake.state.mails == [CARLA]


def test_an_accepted_guest_is_removed_and_an_invitation_withdrawn() -> None:
    """The same call for both; only the first mails somebody."""
    with plausible() as at:
        receipts = at.write(take(ANNA, SHOP, "viewer"), take(BEN, SHOP, "viewer"))
        assert [receipt.status for receipt in receipts] == ["sent", "sent"]
        assert at.shown() == []
        assert at.fake.state.mails == [ANNA]


def test_a_pending_role_is_withdrawn_and_sent_anew() -> None:
    """A put alone would be answered 200 with the old role, and change nothing."""
    with plausible() as at:
        receipt = at.write_one(turn(BEN, SHOP, "viewer", "editor"))
        assert (receipt.status, receipt.sends) == ("sent", 1)
        assert f"{BEN} editor invited" in at.shown()
        assert at.writes() == [f"DELETE /api/v1/sites/guests/{BEN}", "PUT /api/v1/sites/guests"]


def test_the_role_of_an_accepted_guest_is_left_alone_by_default() -> None:
    """No call changes it, so none is sent."""
    with plausible() as at:
        assert at.write_one(turn(ANNA, SHOP, "viewer", "editor")).status == "failed"
        assert at.writes() == []


def test_reinviting_removes_and_invites() -> None:
    """By choice: access is lost until the person accepts."""
    with plausible(role_change="reinvite") as at:
        receipt = at.write_one(turn(ANNA, SHOP, "viewer", "editor"))
        assert (receipt.status, receipt.sends) == ("sent", 1)
        assert f"{ANNA} editor invited" in at.shown()
        at.fake.accept(ANNA)
        assert f"{ANNA} editor accepted" in at.shown()


def test_a_put_that_keeps_the_old_role_is_never_done() -> None:
    """Who is there already, with another role: 200, and nothing changes (API.md section 6)."""
    with plausible() as at:
        for name, status in ((ANNA, "accepted"), (BEN, "invited")):
            verdict = ApiGuests(at.writer, SHOP).invite(name, "editor")
            assert verdict.status == "failed"
            assert f"kept viewer ({status})" in verdict.message
        assert at.writes() == []


def test_a_deletion_that_does_nothing_is_never_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """`deleted: true` is what Plausible always says."""
    with plausible() as at:
        monkeypatch.setattr(State, "remove", lambda *_: False)
        receipt = at.write_one(take(ANNA, SHOP, "viewer"))
        assert receipt.status == "failed"
        assert "still stands there" in receipt.message


def test_a_500_is_settled_by_reading_and_told_with_its_causes() -> None:
    """API.md section 6: a member of the team is answered 500, and nothing is written."""
    with plausible() as at:
        receipt = at.write_one(give("olga@example.org", SHOP, "viewer"))
        assert receipt.status == "failed"
        for cause in ("member of the team", "no seat", "handed over", "not a valid address"):
            assert cause in receipt.message


def test_a_seat_that_is_missing_is_among_the_causes() -> None:
    """The same 500."""
    with plausible(world({"seats": 0})) as at:
        assert "no seat left" in at.write_one(give(CARLA, SHOP, "viewer")).message


@pytest.mark.parametrize("fault", ["500-after-write", "cut-after-write"])
def test_a_lost_answer_is_settled_by_reading(fault: str) -> None:
    """It took place, and reading shows it; it is not sent a second time."""
    with plausible() as at:
        at.fault(f"{fault}:PUT /guests")
        receipt = at.write_one(give(CARLA, BLOG, "viewer"))
        assert (receipt.status, receipt.sends) == ("sent", 1)
        at.fault(f"{fault}:DELETE /guests")
        assert at.write_one(take(ANNA, SHOP, "viewer")).status == "sent"
        assert len(at.writes()) == 2


SILENT = take(BEN, SHOP, "viewer")
MAILING = {
    "invite": (give(CARLA, BLOG, "viewer"), "PUT /guests"),
    "remove": (take(ANNA, SHOP, "viewer"), "DELETE /guests"),
    "anew": (turn(BEN, SHOP, "viewer", "editor"), "DELETE /guests"),
}


@pytest.mark.parametrize(("fault", "sent"), [("503x3", 4), ("cut", 2), ("late", 2), ("504-after-write", 1)])
def test_a_withdrawal_is_sent_again_once_reading_has_shown_it_undone(fault: str, sent: int) -> None:
    """Nobody hears of it, so it may be."""
    with plausible() as at:
        at.fake.lateness = 5
        at.fault(f"{fault}:DELETE /guests")
        assert at.write_one(SILENT).status == "sent"
        assert len([call for call in at.fake.calls if call.method == "DELETE" and not call.wrote]) <= sent
        assert at.shown() == [f"{ANNA} viewer accepted"]


@pytest.mark.parametrize(("change", "on"), MAILING.values(), ids=list(MAILING))
@pytest.mark.parametrize(("fault", "status"), [("503", "unknown"), ("cut", "unknown"), ("late", "sent")])
def test_what_sends_a_mail_is_sent_once(change: Change, on: str, fault: str, status: str) -> None:
    """It is waited for; a removal that comes late would take the invitation that follows, too."""
    with plausible() as at:
        at.fake.lateness = 5
        at.fault(f"{fault}:{on}")
        assert at.write_one(change).status == status
        method = on.partition(" ")[0]
        assert len([call for call in at.fake.calls if call.method == method]) == (2 if fault == "late" else 1)
        assert at.fake.state.mails == ([*{account_of(change.key)}] if fault == "late" else [])


AWAY = {"status": 302, "headers": {"Location": "https://sso.test/"}}


@pytest.mark.parametrize("passed", [True, False])
@pytest.mark.parametrize("page", [{}, {"content": b""}, {"content": b'{"email": ""}'}, {"status": 204}, AWAY], ids=str)
def test_a_yes_that_is_not_plausibles_is_settled_by_reading(page: dict[str, Any], *, passed: bool) -> None:
    """A proxy's page tells nothing; the mail is counted, and what else is in the bundle goes on."""
    with plausible() as at:
        at.page("PUT /guests$", passed=passed, **page)
        at.page("DELETE /guests/", passed=passed, **page)
        removed, invited, other = at.write(
            take(ANNA, SHOP, "viewer"), give(CARLA, SHOP, "viewer"), give("dora@example.org", SHOP, "viewer")
        )
        assert removed.status == invited.status == ("sent" if passed else "unknown")
        assert (other.status, other.sends) == ("sent", 1)
        assert invited.sends == int(passed)
        assert (f"{CARLA} viewer invited" in at.shown()) is passed
        assert (f"{ANNA} viewer accepted" in at.shown()) is not passed


@pytest.mark.parametrize("page", [{}, {"status": 500, "content": b""}], ids=["page", "500"])
def test_who_was_taken_away_and_not_invited_again_is_not_called_as_before(page: dict[str, Any]) -> None:
    """Half of a change took place: it is read, and said."""
    with plausible() as at:
        at.page("PUT /guests$", **page)
        receipt = at.write_one(turn(BEN, SHOP, "viewer", "editor"))
        assert receipt.status == "unknown"
        assert receipt.message.startswith("viewer (invited) was taken away, and then: ")
        assert at.refresh(key(BEN, SHOP)) == {key(BEN, SHOP): None}


def test_what_cannot_be_settled_stays_unknown() -> None:
    """The answer is lost, and then nothing can be read."""
    with plausible() as at:
        at.fault("cut-after-write:PUT /guests")
        at.fault("500@1x0:GET /guests")
        assert at.write_one(give(CARLA, BLOG, "viewer")).status == "unknown"


def test_a_cut_before_anything_happened_is_told_as_open() -> None:
    """The line went down; reading shows nothing, but the server may still be at it."""
    with plausible() as at:
        at.fault("cut:PUT /guests")
        assert at.write_one(give(CARLA, BLOG, "viewer")).status == "unknown"
        assert at.writes() == []


def test_ground_that_moved_is_not_built_on() -> None:
    """Read again just before: what the plan saw is no longer there."""
    with plausible() as at:
        site = at.fake.state.site(SHOP)
        assert site is not None
        at.fake.state.remove(site, ANNA)
        at.fake.state.invite(site, ANNA, "editor", 1)
        receipt = at.write_one(take(ANNA, SHOP, "viewer"))
        assert receipt.status == "failed"
        assert "editor (invited) stands there now" in receipt.message
        assert at.writes() == []


def test_an_acceptance_meanwhile_makes_a_pending_change_manual() -> None:
    """They clicked between plan and apply."""
    with plausible() as at:
        at.fake.accept(BEN)
        assert "accepted meanwhile" in at.write_one(turn(BEN, SHOP, "viewer", "editor")).message


@pytest.mark.parametrize(
    ("scopes", "role", "words"),
    [
        (("stats",), "admin", "a Stats key may only read"),
        (("stats", "sites"), "editor", "must be owner or admin"),
    ],
)
def test_a_key_that_may_not_write_is_told_why(scopes: tuple[str, ...], role: str, words: str) -> None:
    """MAPPING.md section 5: a robot that lost its role is answered 404, and no site is missing."""
    with plausible(world({"scopes": scopes, "self_role": role})) as at:
        receipt = at.write_one(give(CARLA, SHOP, "viewer"))
        assert receipt.status == "failed"
        assert words in f"{receipt.message} {receipt.hint}"
        assert len(at.live.sites) == 2


def test_a_plan_without_the_sites_api_is_told() -> None:
    """402: reading works, writing does not, and nothing is concluded."""
    with plausible(world({"features": ("stats",)})) as at:
        receipt = at.write_one(give(CARLA, SHOP, "viewer"))
        assert "Sites API" in f"{receipt.message} {receipt.hint}"


def test_an_address_leads_nowhere_else() -> None:
    """It is one part of the path, whatever is in it."""
    odd = "a/../b?c#d@example.org"
    with plausible(world(extra=[])) as at:
        at.write_one(give(odd, BLOG, "viewer"))
        assert at.shown(BLOG) == [f"{odd} viewer invited"]
        assert at.write_one(take(odd, BLOG, "viewer")).status == "sent"
        assert at.shown(BLOG) == []


def test_a_site_that_is_not_there_takes_nothing() -> None:
    """A plan of yesterday, a site renamed since."""
    with plausible() as at:
        assert at.write_one(give(CARLA, "gone.example.org", "viewer")).status == "failed"
        assert at.refresh(key(CARLA, "gone.example.org")) == {}


def test_changes_on_one_site_share_the_reading() -> None:
    """And the count of requests is what writing takes."""
    with plausible() as at:
        changes = (give(CARLA, SHOP, "viewer"), take(ANNA, SHOP, "viewer"), give(CARLA, BLOG, "viewer"))
        bundles = PLATFORM.bundle(changes, at.live)
        assert [len(bundle.changes) for bundle in bundles] == [2, 1]
        forecast = PLATFORM.forecast(at.live, at.reader.speed)
        before = at.reader.requests
        at.write(*changes)
        assert at.reader.requests - before == sum(forecast.write(bundle).requests for bundle in bundles)


def test_the_plan_knows_how_long_the_limits_make_it() -> None:
    """A request a guest: what does not fit into ten seconds, or into the hour, takes longer."""
    with plausible() as at:

        def least(count: int) -> float:
            changes = [give(f"g{number}@example.org", SHOP, "viewer") for number in range(count)]
            forecast = PLATFORM.forecast(at.live, at.reader.speed)
            cost = sum((forecast.write(bundle) for bundle in PLATFORM.bundle(changes, at.live)), start=Cost())
            return at.reader.speed.least(cost.requests, cost.commands)

        assert least(5) == 0
        assert 10 <= least(100) < 30
        assert 3600 <= least(700) < 3700
