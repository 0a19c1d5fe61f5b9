"""The audit log, where it can be read, names who caused a drift and when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from platforms.piwikpro.opened import account, carry_out, grant, opened, site
from siteward.access.change import Change
from siteward.access.model import Grant, Group, Member, Subject, account_key
from siteward.platforms.piwikpro.platform import PLATFORM

if TYPE_CHECKING:
    from platforms.piwikpro.opened import Opened

SHOP, DOCS = site("shop.example.org"), site("docs.example.org")


def _by_anna(place: Opened, kind: str, about: str, **payload: str) -> None:
    anna = place.fake.state.people[place.person("anna@example.org")]
    place.fake.state.log(place.clock(), anna, kind, about, payload)


def test_who_and_when_are_told_for_what_drifted() -> None:
    """By the person or group it is about, and the site where the entry names one."""
    place = opened()
    live = place.live()
    mia, pool = place.person("mia@example.org"), live.ids[Group("analysts").key]
    _by_anna(place, "permission.user.changed.app", mia, id=place.entity(DOCS), permission="manage")
    place.clock.sleep(60)
    _by_anna(place, "user_group.user.added", mia, id=pool)
    keys = [
        grant("mia@example.org", DOCS, "manage").key,
        grant("mia@example.org", SHOP, "view").key,
        Member("analysts", "mia@example.org").key,
        Grant(Subject("group", "analysts"), SHOP, "view").key,
        account_key("nobody@example.org"),
    ]

    told = PLATFORM.blame(place.doors.reader, keys, live, None)

    assert told == {
        keys[0]: "anna@example.org on 2026-03-02T09:30:00Z (permission.user.changed.app)",
        keys[2]: "anna@example.org on 2026-03-02T09:31:00Z (user_group.user.added)",
    }


def test_what_was_before_the_last_run_is_not_told() -> None:
    """Only what the log has since a moment explains a drift since then."""
    place = opened()
    live = place.live()
    _by_anna(place, "permission.user.changed.app", place.person("mia@example.org"), id=place.entity(DOCS))
    key = grant("mia@example.org", DOCS, "manage").key
    place.clock.sleep(3600)

    assert PLATFORM.blame(place.doors.reader, [key], live, place.clock() - timedelta(hours=2))
    assert not PLATFORM.blame(place.doors.reader, [key], live, place.clock() - timedelta(minutes=1))


def test_our_own_changes_bear_our_name() -> None:
    """What Siteward did is in the log too, by the account behind the key."""
    place = opened()
    live = place.live()
    wish = grant("mia@example.org", DOCS, "view")
    carry_out(place, live, [Change(None, wish)])

    assert PLATFORM.blame(place.doors.reader, [wish.key], live, None)[wish.key].startswith("siteward@example.org on ")


def test_a_long_log_is_read_by_the_hundred() -> None:
    """A page holds a hundred rows there and no more."""
    place = opened()
    live = place.live()
    mia = place.person("mia@example.org")
    _by_anna(place, "permission.user.changed.app", mia, id=place.entity(SHOP))
    for _ in range(150):
        _by_anna(place, "permission.user.changed.app", mia, id=place.entity(DOCS))

    assert PLATFORM.blame(place.doors.reader, [grant("mia@example.org", SHOP, "view").key], live, None)


def test_without_an_owners_key_nobody_is_named() -> None:
    """Only owners may read the log; then nothing is told, and nothing fails."""
    place = opened()
    live = place.live()
    place.fake.state.people[place.person("siteward@example.org")].role = "USER"

    assert PLATFORM.blame(place.doors.reader, [account_key("mia@example.org")], live, None) == {}
    assert account("mia@example.org") in {grant.subject for grant in live.access.grants()}
