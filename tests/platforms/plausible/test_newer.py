"""What is newer at Plausible than 3.2.0, as it was read about: editions by their doors, sites that change teams, mails."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from msgspec.structs import replace

from platforms.plausible.at import CARLA, NOW, SHOP, give, key, plausible
from siteward.access.state import Memory
from siteward.platforms.known import known_as
from siteward.platforms.plausible.platform import PLATFORM
from siteward.platforms.plausible.settings import Settings
from siteward.transport.errors import ForbiddenError, NotThePlatformError
from siteward.transport.http import Link
from siteward.transport.secrets import Secret, Secrets


@pytest.mark.parametrize(
    "front",
    [
        httpx.Response(404, text="<!DOCTYPE html><title>404</title>"),
        httpx.Response(406, text="not acceptable"),
        httpx.Response(302, headers={"location": "/register"}),
    ],
    ids=["page", "not-acceptable", "fresh"],
)
def test_community_edition_is_known_by_any_of_its_three_answers(front: httpx.Response) -> None:
    """It has no Sites API: a page, 406 where JSON is asked for, and a redirect before its first account."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/system":
            return httpx.Response(200, json={"build": {"version": "3.2.0"}})
        return httpx.Response(front.status_code, headers=front.headers, content=front.content)

    link = Link(url="http://plausible.test", transport=httpx.MockTransport(answer), sleep=lambda _: None)
    secrets = Secrets({"api_key": Secret("k" * 40)}, instance="it")
    with PLATFORM.connect(Settings(), secrets, link) as doors, pytest.raises(NotThePlatformError, match="Community"):
        PLATFORM.probe(doors.reader, Settings())


def test_a_fresh_community_edition_is_told_as_one_without_accounts() -> None:
    with plausible(release="ce-3") as at:
        at.page("GET /api/v1/sites$", status=302, content=b"", headers={"location": "/register"})
        with pytest.raises(NotThePlatformError, match="no account yet"):
            PLATFORM.probe(at.reader, at.settings)
        at.page("GET /api/v1/sites$", status=302, content=b"", headers={"location": "https://sso.example.org/"})
        with pytest.raises(NotThePlatformError) as other:
            PLATFORM.probe(at.reader, at.settings)
        assert "no account yet" not in str(other.value)


def test_a_site_that_a_new_team_took_along_is_not_gone() -> None:
    """Cloud: who creates a team moves all personal sites into it, without a transfer and without an invitation."""
    with plausible() as at:
        site = at.fake.state.site(SHOP)
        assert site is not None
        site.team = at.fake.state.new_team("New", at.fake.state.new_user("new@other.test")).id
        with pytest.raises(ForbiddenError, match="belongs to another team") as caught:
            at.refresh(key("anna@example.org", SHOP))
        assert "created a team" in (caught.value.hint or "")
        assert "not gone" in (caught.value.hint or "")


@pytest.mark.parametrize(("door", "said"), [("api", False), ("web", True)])
def test_who_never_accepts_may_have_had_no_mail(door: str, *, said: bool) -> None:
    """The mail adapter that is gone after 3.2 is a matter of Community Edition alone."""
    with plausible(invitations={"max_sends": 2}) as at:
        at.live = replace(at.live, native=replace(at.live.native, door=door))  # type: ignore[type-var]  # Plausible's own
        memory = Memory(sends={key(CARLA, SHOP): (2, NOW - timedelta(days=9))})
        (found,) = [
            diagnostic for diagnostic in at.review(give(CARLA, SHOP, "viewer"), memory=memory)
            if diagnostic.code == "did-not-accept"
        ]  # fmt: skip
        assert ("Bamboo.SMTPAdapter" in (found.hint or "")) is said


def test_a_community_edition_after_3_2_is_told_as_not_known() -> None:
    with plausible(release="ce-3") as at:
        assert "never driven live" in known_as(PLATFORM.known, at.traits)
        assert "neither driven live nor read about" in known_as(PLATFORM.known, replace(at.traits, version="3.3"))
        assert "neither driven live nor read about" in known_as(PLATFORM.known, replace(at.traits, version=""))
