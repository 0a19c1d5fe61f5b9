"""A long apply keeps to 60 writes a minute, outlives its token, and loses nothing to a 429."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from platforms.piwikpro.opened import Opened, carry_out, grant, opened, site
from siteward.access.change import Change
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldSite, in_process
from siteward.platforms.piwikpro.platform import PLATFORM

if TYPE_CHECKING:
    from siteward.access.state import Live

SITES = tuple(f"s{number}.example.org" for number in range(10))


def _crowd(people: int) -> World:
    return World(
        accounts=(
            WorldAccount(login="owner@example.org", role="owner"),
            *(WorldAccount(login=f"p{number:03}@example.org") for number in range(people)),
        ),
        sites=tuple(WorldSite(name=domain, domain=domain) for domain in SITES),
    )


def _everybody_everywhere(place: Opened, people: int) -> list[Change]:
    return [
        Change(None, grant(f"p{number:03}@example.org", site(name), "view"))
        for number in range(people)
        for name in SITES
    ]


def _expected(place: Opened, live: Live, changes: list[Change]) -> float:
    """Return the seconds that the limits are expected to let these changes take, after the reading that was."""
    speed = place.doors.reader.speed
    forecast = PLATFORM.forecast(live, speed)
    cost = sum((forecast.write(bundle) for bundle in PLATFORM.bundle(changes, live)), start=forecast.first())
    return speed.least(cost.requests, cost.commands)


def test_a_thousand_grants_take_about_seventeen_minutes_without_one_429() -> None:
    """What the plan says is what it takes, by a clock that both sides share, each write read back."""
    place = opened(_crowd(100), through=in_process)
    live, changes = place.live(), _everybody_everywhere(place, 100)
    expected = _expected(place, live, changes)
    begun = place.clock.seconds()

    for change in changes:
        (receipt,) = carry_out(place, live, [change])
        assert receipt.status == "sent"
        assert PLATFORM.refresh(place.doors.reader, [change.key], live)[change.key] == change.after

    took = place.clock.seconds() - begun
    assert place.refused() == 0
    assert 16 * 60 <= took <= 17.5 * 60
    assert took == pytest.approx(expected, rel=0.1)
    assert len(place.fake.state.levels) == 1000


def test_an_apply_longer_than_a_token_lives_goes_on() -> None:
    """Over 1,800 writes always cross the thirty minutes (MAPPING.md section 5)."""
    place = opened(_crowd(190), through=in_process)
    receipts = carry_out(place, place.live(), _everybody_everywhere(place, 190))

    assert {receipt.status for receipt in receipts} == {"sent"}
    assert place.refused() == 0
    assert sum(call.path == "/auth/token" for call in place.fake.calls) == 2
    assert place.clock.seconds() > 1800


def test_a_429_in_mid_apply_loses_nothing() -> None:
    """Somebody else spends the same quota: wait as long as the server says, then send the same call."""
    place = opened(_crowd(4), through=in_process)
    live, changes = place.live(), _everybody_everywhere(place, 4)
    place.fake.faults.append(Fault.parse("429@7x3:POST /api/access-control"))

    receipts = carry_out(place, live, changes)

    assert {receipt.status for receipt in receipts} == {"sent"}
    assert place.refused() == 3
    assert len(place.fake.state.levels) == 40


def test_reading_keeps_to_its_own_limit() -> None:
    """700 GET take more than a minute and are never refused."""
    place = opened(_crowd(1), through=in_process)
    live = place.live()
    key = grant("p000@example.org", site(SITES[0]), "view").key
    for _ in range(700):
        PLATFORM.refresh(place.doors.reader, [key], live)

    assert place.refused() == 0
    assert place.clock.seconds() > 60


def test_questions_by_post_spend_the_quota_of_writes() -> None:
    """The verb alone decides: asking for the modules of 7,000 people is 71 calls, and waits."""
    place = opened(_crowd(7000).model_copy(update={"sites": ()}), through=in_process)
    place.live()

    assert place.refused() == 0
    assert place.clock.seconds() > 60


@pytest.mark.parametrize("people", [1, 6, 7, 20, 45])
def test_the_seconds_of_a_plan_are_those_of_its_apply(people: int) -> None:
    """Within a factor of 1.5, also for few: the first sixty writes wait for nothing, and the token is one of them."""
    place = opened(_crowd(people), through=in_process)
    live, changes = place.live(), _everybody_everywhere(place, people)
    expected = _expected(place, live, changes)
    begun = place.clock.seconds()
    for change in changes:
        carry_out(place, live, [change])
    took = place.clock.seconds() - begun
    assert expected <= 1.5 * took <= 1.5 * 1.5 * expected + 1
