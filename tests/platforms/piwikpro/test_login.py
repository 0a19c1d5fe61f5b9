"""Client credentials become a token of thirty minutes, renewed on the way, and never show."""

from __future__ import annotations

import httpx
import pytest

from platforms.piwikpro.opened import Opened, carry_out, grant, opened, site
from siteward.access.change import Change
from siteward.platforms.fakery import Fault
from siteward.transport.errors import ForbiddenError, NotThePlatformError, UnauthenticatedError, UnreachableError


def _tokens(place: Opened) -> int:
    return sum(call.path == "/auth/token" for call in place.fake.calls)


def test_one_token_serves_a_whole_reading() -> None:
    """Eight threads ask at once and one of them fetches."""
    place = opened()
    place.live()

    assert _tokens(place) == 1


def test_a_token_is_renewed_before_it_dies() -> None:
    """After 29 minutes a new one is fetched; the server never has to say 401."""
    place = opened()
    place.live()
    place.clock.sleep(1745)
    place.live()

    assert _tokens(place) == 2
    assert 401 not in {call.status for call in place.fake.calls}


def test_a_command_is_sent_again_with_a_new_token() -> None:
    """A 401 is said before anything is done, so the same command may follow."""
    place = opened()
    live = place.live()
    place.fake.faults.append(Fault.parse("expire-token:POST /api/access-control"))
    wish = grant("mia@example.org", site("docs.example.org"), "view")

    receipts = carry_out(place, live, [Change(None, wish)])

    assert [receipt.status for receipt in receipts] == ["sent"]
    assert place.level(site("docs.example.org"), "mia@example.org") == "view"
    assert [call.status for call in place.fake.calls][-3:] == [401, 200, 204]


def test_a_wrong_secret_opens_nothing_and_is_not_told() -> None:
    """The message names the way out and no secret."""
    place = opened(secret="not-the-secret-at-all")

    with pytest.raises(UnauthenticatedError) as told:
        place.traits()

    assert "not-the-secret-at-all" not in f"{told.value} {told.value.hint} {told.value.__cause__}"
    assert "API keys" in (told.value.hint or "")


def test_a_secret_that_was_refused_once_is_not_sent_again() -> None:
    """What all threads would hear as well is asked for once."""
    place = opened(secret="not-the-secret-at-all")

    for _ in range(3):
        with pytest.raises(UnauthenticatedError):
            place.traits()

    assert _tokens(place) == 1


def test_an_organisation_without_a_licence_is_told() -> None:
    """402 on the token."""
    place = opened()
    place.fake.state.licence_active = False

    with pytest.raises(ForbiddenError, match="licence"):
        place.traits()


def test_a_page_before_it_is_not_piwik_pro() -> None:
    """HTML where a token should be."""
    page = httpx.Response(200, html="<title>Sign in</title>")
    place = opened(through=lambda _: httpx.MockTransport(lambda _: page))

    with pytest.raises(NotThePlatformError, match="/auth/token"):
        place.traits()


@pytest.mark.parametrize("token", ["", "two\r\nlines", "ümlaut"])
def test_a_token_that_no_header_can_carry_is_not_piwik_pros(token: str) -> None:
    """It was reached, so the network is not what is wrong."""
    reply = httpx.Response(200, json={"access_token": token, "expires_in": 1800})
    place = opened(through=lambda _: httpx.MockTransport(lambda _: reply))

    with pytest.raises(NotThePlatformError, match="/auth/token"):
        place.traits()


def test_a_redirected_token_request_is_told_with_where_it_leads() -> None:
    """The hint names what to correct."""
    away = httpx.Response(301, headers={"Location": "https://other.piwik.pro:8443/auth/token?x=s3cret"})
    place = opened(through=lambda _: httpx.MockTransport(lambda _: away))

    with pytest.raises(NotThePlatformError, match="/auth/token to https://other") as told:
        place.traits()

    assert "to https://other.piwik.pro:8443/auth/token; nothing was sent there" in str(told.value)
    assert "into `url`" in (told.value.hint or "")


def test_a_server_that_is_not_ready_is_unreachable() -> None:
    """A gateway's 502 is waited for, and in the end told."""
    place = opened()
    place.fake.faults.append(Fault.parse("htmlx0"))

    with pytest.raises(UnreachableError, match="502"):
        place.traits()


def test_a_busy_token_server_is_waited_for() -> None:
    """429 on the token holds reading back for as long as the server says, and does not fail it."""
    place, unhurried = opened(), opened()
    place.fake.faults.append(Fault.parse("429:POST /auth/token"))

    assert place.traits() == unhurried.traits()
    asked = [call.status for call in place.fake.calls if call.path == "/auth/token"]
    assert asked == [429, 200]
    assert place.clock.seconds() - unhurried.clock.seconds() >= 1.0


def test_a_key_whose_person_is_gone_says_so() -> None:
    """The key dies with the person who made it."""
    place = opened()
    place.live()
    place.fake.state.forget(place.fake.state.people[place.person("siteward@example.org")])

    with pytest.raises(UnauthenticatedError):
        place.live()
