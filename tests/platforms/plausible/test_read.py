"""Reading through the Sites API: everything, proven, within the limits; or an error, and never half."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
import respx
from msgspec import convert

from platforms.plausible.at import (
    ANNA,
    BEN,
    BLOG,
    NOW,
    SHOP,
    Clock,
    fake_of,
    key,
    link_of,
    plausible,
    secrets_of,
    world,
)
from siteward.access.model import Account, account_key
from siteward.platforms.fakery import Fault, World, WorldGrant, WorldSite
from siteward.platforms.interface import native
from siteward.platforms.plausible.native_state import NativeState
from siteward.platforms.plausible.platform import PLATFORM
from siteward.platforms.plausible.settings import Settings
from siteward.transport.errors import (
    ForbiddenError,
    IncompleteError,
    NotThePlatformError,
    PlatformError,
    RefusedError,
    SecretMissingError,
    UnauthenticatedError,
    UnreachableError,
)
from siteward.transport.http import Link
from siteward.transport.secrets import Secret, Secrets

RELEASES = ("cloud", "enterprise")
TEAM = "7b0d3f52-6a0e-4a55-9b0f-2f1f6a1c9a01"


def many(sites: int, guests: int = 0) -> World:
    return World(
        sites=tuple(WorldSite(name=f"s{at}", domain=f"s{at}.example.org") for at in range(sites)),
        grants=tuple(
            WorldGrant(account=f"g{at}@example.org", site="s0.example.org", role="viewer") for at in range(guests)
        ),
    )


@pytest.mark.parametrize("release", RELEASES)
def test_guests_are_grants_and_invitations_wait(release: str) -> None:
    """An invitation counts as the grant it will be, and is noted as pending: that is no difference."""
    with plausible(release=release) as at:
        grants = {(grant.subject.name, grant.scope.name, grant.role) for grant in at.live.access.grants()}
        assert grants == {(ANNA, SHOP, "viewer"), (BEN, SHOP, "viewer")}
        assert at.live.pending == {key(BEN, SHOP)}
        assert at.live.access[account_key(BEN)] == Account(BEN, status="pending")
        assert at.live.complete
        assert {site.name for site in at.live.sites} == {SHOP, BLOG}
        assert at.fake.writes == 0


def test_members_of_the_team_cannot_be_seen_and_that_is_said() -> None:
    """MAPPING.md section 1: "in sync" would claim more than anybody knows."""
    with plausible() as at:
        assert at.traits.blind_spots == ("team-members", "shared-links")
        assert "guest-layer-only" in {finding.code for finding in at.live.findings}
        assert account_key("olga@example.org") not in at.live.access


def test_fifty_sites_take_fifty_two_requests() -> None:
    """API.md section 14: one a site, one for a hundred sites, one for the team."""
    with plausible(many(50)) as at:
        assert at.reader.requests == 52


def test_six_hundred_sites_survive_the_hours_limit() -> None:
    """607 requests, 600 of them in an hour and 60 in ten seconds: paced from our side, so nothing is answered 429."""
    with plausible(many(600)) as at:
        assert at.reader.requests == 607
        assert 429 not in {call.status for call in at.fake.calls}
        assert 3600 <= at.clock.passed < 3700
        assert len(at.live.sites) == 600
        assert {why for _, why in at.clock.pauses} == {"rate limit"}


def test_what_others_used_of_the_hour_is_waited_for() -> None:
    """The limit is the team's: other programs use it too, and then the window's end is waited for, once."""
    clock = Clock()
    fake = fake_of(clock=clock)
    fake.counted[(fake.state.keys[fake.credentials["api_key"]].team, 3600, int(NOW.timestamp()) // 3600)] = 599
    with plausible(fake=fake, clock=clock) as at:
        assert [call.status for call in fake.calls].count(429) == 1
        assert len(at.live.sites) == 2
        assert [(round(seconds, 1), why) for seconds, why in at.clock.pauses] == [(3600.5, "the server answered 429")]


def test_the_hour_is_over_when_the_servers_clock_says_so() -> None:
    """No Retry-After: the window is the server's own hour, told by its Date."""
    clock = Clock()
    fake = fake_of(clock=clock)
    clock.passed = 1800
    window = int(clock.now().timestamp()) // 3600
    fake.counted[(fake.state.keys[fake.credentials["api_key"]].team, 3600, window)] = 600
    settings = Settings()
    with PLATFORM.connect(settings, secrets_of(fake), link_of(fake, clock)) as doors:
        PLATFORM.probe(doors.reader, settings)
    assert clock.passed == pytest.approx(3600.5)


def test_pages_are_read_to_the_last_cursor() -> None:
    """A page holds at most a hundred."""
    with plausible(many(1, guests=250)) as at:
        assert len(list(at.live.access.grants())) == 250
        assert at.reader.requests == 5


def test_an_address_is_one_person_in_any_spelling() -> None:
    """API.md section 6: Plausible compares without case, and shows what was typed."""
    extra = [WorldGrant(account="ANNA@Example.org", site=BLOG, role="editor", status="invited")]
    with plausible(world(extra=extra)) as at:
        assert [account.name for account in at.live.access.accounts()] == [ANNA, BEN]
        assert key(ANNA, BLOG) in at.live.access
        assert at.live.access[account_key(ANNA)] == Account(ANNA, status="active")


def test_a_domain_may_have_a_path_and_letters_of_its_own() -> None:
    """The label is what selectors compare; what is sent is Plausible's own."""
    sites = (WorldSite(name="a", domain="bücher.example/Blog"),)
    grants = (WorldGrant(account=ANNA, site="bücher.example/Blog", role="viewer"),)
    with plausible(World(sites=sites, grants=grants)) as at:
        (scope,) = at.live.sites
        assert scope.name == "xn--bcher-kva.example/Blog"
        assert at.refresh(key(ANNA, scope.name)) == {key(ANNA, scope.name): at.live.access[key(ANNA, scope.name)]}


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        ({"locked": True}, ForbiddenError, "subscription"),
        ({"features": ()}, ForbiddenError, "plan"),
        ({"self_role": "billing"}, ForbiddenError, "role of the key's user is too low"),
    ],
)
def test_a_refusal_is_never_an_empty_list(more: dict[str, object], kind: type[PlatformError], words: str) -> None:
    """401, 402 and 404 have different meanings, and none of them is "nobody"."""
    with pytest.raises(kind) as caught, plausible(world({**more, "limits": False})):
        pass
    assert words in f"{caught.value} {caught.value.hint}"


def test_a_dead_key_is_told() -> None:
    """Its user may have left the team."""
    fake = fake_of()
    fake.state.keys.clear()
    with pytest.raises(UnauthenticatedError, match="Invalid API key") as caught, plausible(fake=fake):
        pass
    assert fake.credentials["api_key"] not in str(caught.value)


def test_a_site_that_left_the_team_meanwhile_is_told() -> None:
    """Listed a moment ago, 401 now: it was handed over, and nothing is concluded about its guests."""
    fake = fake_of()
    with plausible(fake=fake) as at:
        site = fake.state.site(SHOP)
        assert site is not None
        site.team = fake.state.new_team("Elsewhere", fake.state.new_user("new@other.test")).id
        with pytest.raises(ForbiddenError, match="belongs to another team now"):
            at.refresh(key(ANNA, SHOP))


@pytest.mark.parametrize("fault", ["500x0:GET /guests", "htmlx0:GET /guests", "cutx0:GET /guests"])
def test_one_site_unread_is_nothing_read(fault: str) -> None:
    """Half a picture would make everybody on that site look gone."""
    fake = fake_of()
    fake.faults.append(Fault.parse(fault))
    with pytest.raises((RefusedError, UnreachableError)), plausible(fake=fake):
        pass


def test_a_listing_that_goes_in_circles_is_refused() -> None:
    """A cursor that comes twice would be read for ever."""
    team = {"id": TEAM, "name": "T", "api_available": True}
    last, circling = ({"after": after, "before": None, "limit": 100} for after in (None, "same"))
    server = respx.Router()
    server.get(path__regex="/teams$").respond(json={"teams": [team], "meta": last})
    server.get(path__regex="/sites$").respond(json={"sites": [{"domain": "a.test"}], "meta": circling})
    link = Link(url="http://plausible.test", transport=httpx.MockTransport(server.handler), sleep=lambda _: None)
    secrets = Secrets({"api_key": Secret("key")})
    with PLATFORM.connect(Settings(), secrets, link) as doors:
        traits, seed = PLATFORM.probe(doors.reader, Settings())
        with pytest.raises(IncompleteError, match="circle"):
            PLATFORM.read(doors.reader, Settings(), traits, seed)


# -- which Plausible, and which team


def test_the_team_is_the_one_the_file_names() -> None:
    """A key of that team passes; letter case of the id is nothing."""
    with plausible(team=TEAM.upper()) as at:
        assert len(at.live.sites) == 2


def test_another_team_than_the_keys_is_refused() -> None:
    """MAPPING.md section 5: an old key would ignore an unknown id, and show the sites of all teams."""
    wrong = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(ForbiddenError, match=wrong) as caught, plausible(team=wrong):
        pass
    assert TEAM in (caught.value.hint or "")


def test_an_old_key_of_several_teams_needs_to_be_told_which() -> None:
    """And then sees that team's sites only."""
    fake = fake_of()
    stored = fake.state.keys[fake.credentials["api_key"]]
    own = fake.state.users[stored.user]
    stored.team = None
    other = fake.state.new_team("Second", own)
    fake.state.new_site("second.example.org", other)
    with pytest.raises(ForbiddenError, match="does not belong to one team"), plausible(fake=fake):
        pass
    with plausible(fake=fake, team=TEAM) as at:
        assert {site.name for site in at.live.sites} == {SHOP, BLOG}


@pytest.mark.parametrize(
    ("url", "setting", "edition"),
    [
        ("https://plausible.io", "auto", "cloud"),
        ("https://plausible.io", "enterprise", "cloud"),
        ("https://eu.plausible.io", "auto", "cloud"),
        ("https://plausible.example", "auto", "cloud or enterprise"),
        ("https://plausible.example", "cloud", "cloud"),
        ("https://plausible.example", "enterprise", "enterprise"),
    ],
)
def test_the_edition_is_as_much_as_is_known(url: str, setting: str, edition: str) -> None:
    """Both have the same API, so that the host and the file alone distinguish them; where neither does, both are named."""
    fake = fake_of()
    settings = convert({"edition": setting}, Settings)
    link = Link(url=url, transport=link_of(fake).transport, sleep=lambda _: None)
    with PLATFORM.connect(settings, secrets_of(fake), link) as doors:
        assert PLATFORM.probe(doors.reader, settings)[0].edition == f"{edition}, guest layer only"


@pytest.mark.parametrize(("status", "kind"), [(404, "text/html"), (406, "application/json")])
def test_community_edition_behind_a_key_is_told(status: int, kind: str) -> None:
    """Its binary has no Sites API at all (API.md section 1): a page, or "not acceptable", never an empty list."""
    server = respx.Router(assert_all_called=False)
    server.get("/api/system").respond(json={"build": {"version": "v3.2.0"}})
    server.route().respond(status, headers={"content-type": kind}, text="<html>")
    link = Link(url="http://plausible.test", transport=httpx.MockTransport(server.handler), sleep=lambda _: None)
    with PLATFORM.connect(Settings(), Secrets({"api_key": Secret("key")}), link) as doors:
        with pytest.raises(NotThePlatformError, match="Community Edition") as caught:
            PLATFORM.probe(doors.reader, Settings())
        assert "edition: ce" in (caught.value.hint or "")


def test_without_any_credential_both_ways_are_named() -> None:
    """Nothing is sent."""
    with pytest.raises(SecretMissingError, match="neither an API key nor a database url") as caught:
        PLATFORM.connect(Settings(), Secrets({}), Link(url="http://plausible.test"))
    assert "_API_KEY" in (caught.value.hint or "")


def test_the_doctor_says_what_the_key_may_and_may_not() -> None:
    """Whose key it is cannot be found out."""
    with plausible() as at:
        reach = PLATFORM.reach(at.reader, at.settings, at.traits)
    assert reach.account is None
    assert "see members of the team, or whose key this is" in reach.may_not
    assert any("shared links" in words for words in reach.may_not), "people see sites by these, too"


def test_the_servers_clock_is_told_by_its_answers() -> None:
    """Ages of invitations are measured by it; the adapter has no clock of its own."""
    with plausible() as at:
        assert native(at.live, NativeState).now == datetime(2026, 11, 22, 12, tzinfo=UTC)


META = '"meta": {"after": null, "before": null, "limit": 100}'


@pytest.mark.parametrize(
    ("on", "content"),
    [
        ("GET /sites$", '{"sites": [{"domain": ""}], %s}'),
        ("GET /guests$", '{"guests": [{"email": "", "role": "viewer", "status": "invited"}], %s}'),
    ],
    ids=["domain", "email"],
)
def test_a_domain_or_address_that_is_empty_is_not_plausibles(on: str, content: str) -> None:
    """Nothing could be told apart by it."""
    with plausible() as at:
        at.page(on, times=0, content=(content % META).encode())
        with pytest.raises(NotThePlatformError, match="did not answer as Plausible does"):
            at.read()


@pytest.mark.parametrize("status", [204, 500])
def test_an_answer_that_says_nothing_comes_with_what_to_do(status: int) -> None:
    """The reason stands in a log, here or in a proxy."""
    with plausible() as at:
        at.page("GET /sites$", times=0, status=status, content=b"")
        with pytest.raises(RefusedError, match=f"was answered {status}") as caught:
            at.read()
        assert "try again" in (caught.value.hint or "")
