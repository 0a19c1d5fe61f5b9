"""Which Umami this is, who we are there, and every door that stays shut with a word."""

from __future__ import annotations

import threading
from itertools import count

import httpx
import pytest
import respx

from platforms.umami.at import RELEASES, clock, fake_of, umami
from siteward.platforms import fakery
from siteward.platforms.fakery import Fault, World, WorldAccount
from siteward.platforms.umami.fake import FAKE, UmamiFake
from siteward.platforms.umami.platform import PLATFORM
from siteward.platforms.umami.settings import Settings
from siteward.transport.errors import ForbiddenError, NotThePlatformError, RefusedError, UnauthenticatedError
from siteward.transport.http import Doors, Link
from siteward.transport.secrets import Secret, Secrets

SETTINGS = Settings(layout="per-site")


def secrets(username: str = "siteward", password: str = "sandbox-siteward") -> Secrets:
    return Secrets({"username": Secret(username), "password": Secret(password)}, instance="stats")


def doors(transport: httpx.BaseTransport, given: Secrets | None = None, url: str = "http://umami.test") -> Doors:
    return PLATFORM.connect(SETTINGS, given or secrets(), Link(url=url, transport=transport, sleep=lambda _: None))


def answering(status: int, **body: object) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, **body))  # type: ignore[arg-type]


def spoken() -> respx.Router:
    """Return the exchanges of a server that was never driven live; each test says them, and a request besides fails."""
    router = respx.Router(base_url="http://umami.test", assert_all_called=False)
    user = {"id": "1", "username": "siteward", "role": "admin"}
    tokens = (httpx.Response(200, json={"token": f"t{number}", "user": user}) for number in count())
    router.post("/api/auth/login", name="login").mock(side_effect=tokens)
    return router


def through(router: respx.Router) -> httpx.MockTransport:
    return httpx.MockTransport(router.handler)


@pytest.mark.parametrize("release", RELEASES)
def test_the_release_is_found_out(release: str) -> None:
    """Nothing about the version is configured."""
    with umami(release=release) as at:
        assert at.traits.version == release
        assert at.fake.writes == 0


@pytest.mark.parametrize("release", RELEASES)
def test_a_new_installation_is_read_too(release: str) -> None:
    """The product's own first state: one admin, nothing else."""
    fake = FAKE.fresh(release, clock=clock)
    assert isinstance(fake, UmamiFake)
    with umami(fake=fake) as at:
        assert at.live.me == "admin"
        assert [account.name for account in at.live.access.accounts()] == ["admin"]


def test_the_release_is_asked_for_while_other_listings_are_on_their_way() -> None:
    """A large listing of teams is no time in which nothing else happens."""
    asked, seen = threading.Event(), []
    server, site = spoken(), {"id": "1", "name": "shop", "recorderEnabled": False}

    def send_teams(_: httpx.Request) -> httpx.Response:
        seen.append(asked.wait(5))
        return httpx.Response(200, json={"data": [], "count": 0})

    def tell_factor(_: httpx.Request) -> httpx.Response:
        asked.set()
        return httpx.Response(404, text="<html>")

    server.get("/api/admin/users").respond(json={"data": [], "count": 0})
    server.get("/api/admin/teams").mock(side_effect=send_teams)
    server.get("/api/admin/websites").respond(json={"data": [site], "count": 1})
    server.get("/api/2fa/status").mock(side_effect=tell_factor)
    with doors(through(server)) as open_:
        traits, _ = PLATFORM.probe(open_.reader, SETTINGS)
        assert (traits.version, seen) == ("3.2", [True])


def test_3_0_is_told_by_its_missing_boards() -> None:
    """API.md section 0: no boards before 3.1. Such a server was never driven live, so this is one exchange made up."""
    server = spoken()
    server.get("/api/config").respond(json={"cloudMode": False})
    server.get(path__startswith="/api/").respond(404, text="<html>")
    with doors(through(server)) as open_:
        traits, _ = PLATFORM.probe(open_.reader, SETTINGS)
        assert traits.version == "3.0"
        assert "never driven live" in " ".join(PLATFORM.reach(open_.reader, SETTINGS, traits).notes)


def test_2_20_cannot_show_everything_and_says_so() -> None:
    """API.md section 8: what no account leads to is invisible there."""
    with umami(release="2.20") as at:
        assert set(at.traits.blind_spots) == {"teams-without-members", "orphan-sites"}


@pytest.mark.parametrize("release", ["3.2", "3.1"])
def test_public_links_to_boards_are_a_blind_spot(release: str) -> None:
    """No admin list shows them, and `doctor` says who can make them and what protects."""
    with umami(release=release) as at:
        assert at.traits.blind_spots == ("board-links",)
        notes = " ".join(PLATFORM.reach(at.reader, at.settings, at.traits).notes)
        assert "share boards publicly" in notes
        assert "view-only, which cannot" in notes


def test_every_blind_spot_says_what_is_unseen() -> None:
    """What stands in `accept_blind` has words for people."""
    assert set(PLATFORM.widest.blind_spots) == set(PLATFORM.widest.unseen)


def test_a_wrong_password_is_told() -> None:
    """And neither name nor password is in the message."""
    with doors(fakery.in_process(fake_of()), secrets(password="s3cret-wrong")) as open_:
        with pytest.raises(UnauthenticatedError, match="did not accept") as caught:
            PLATFORM.probe(open_.reader, SETTINGS)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("release", RELEASES)
def test_an_account_without_the_role_is_told_what_it_lacks(release: str) -> None:
    """Reading users needs an admin; the message says so and who we are."""
    start = World(accounts=(WorldAccount(login="plain", role="user", password="plain-password"),))
    with doors(fakery.in_process(fake_of(start, release)), secrets("plain", "plain-password")) as open_:
        with pytest.raises(ForbiddenError, match="the account in use has the role user") as caught:
            PLATFORM.probe(open_.reader, SETTINGS)
        assert "admin" in (caught.value.hint or "")


@pytest.mark.parametrize("url", ["https://api.umami.is/v1", "https://cloud.umami.is", "https://umami.is"])
def test_the_cloud_is_refused_before_anything_is_sent(url: str) -> None:
    """API.md section 0: no user API there."""
    with pytest.raises(ForbiddenError, match="Cloud"):
        doors(answering(500), url=url)


def test_a_server_in_cloud_mode_is_refused() -> None:
    """The same product under another name."""
    server = spoken()
    server.get(path__regex="/api/admin/(users|teams|websites)").respond(json={"data": [], "count": 0})
    server.get("/api/config").respond(json={"cloudMode": True})
    with doors(through(server)) as open_, pytest.raises(ForbiddenError, match="Cloud"):
        PLATFORM.probe(open_.reader, SETTINGS)


def test_a_second_factor_is_fatal_and_clear() -> None:
    """MAPPING.md hazard 11: 3.3 may answer the login with a demand instead of a token."""
    body = {"requiresTwoFactor": True, "partialToken": "s3cret"}
    with (
        doors(answering(200, json=body)) as open_,
        pytest.raises(UnauthenticatedError, match="second factor") as caught,
    ):
        PLATFORM.probe(open_.reader, SETTINGS)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "transport",
    [
        answering(200, text="<!DOCTYPE html><title>Intranet</title>"),
        answering(404, text="<!DOCTYPE html>"),
        answering(405),
        answering(200, json={"hello": "world"}),
        answering(200, json=[1, 2]),
        answering(301, headers={"Location": "https://sso.example.org/login?next=s3cret"}),
    ],
    ids=["page", "not-found", "not-allowed", "other-api", "list", "redirect"],
)
def test_something_else_that_answers_is_not_umami(transport: httpx.BaseTransport) -> None:
    """A wrong address is told as such."""
    with doors(transport) as open_, pytest.raises(NotThePlatformError) as caught:
        PLATFORM.probe(open_.reader, SETTINGS)
    assert "s3cret" not in str(caught.value)
    assert caught.value.hint


def test_a_redirected_login_is_told_with_where_it_leads() -> None:
    """The usual mistake, http instead of https: the hint names what to correct."""
    transport = answering(301, headers={"Location": "https://anna:s3cret@umami.test:8443/api/auth/login?next=s3cret"})
    with doors(transport) as open_, pytest.raises(NotThePlatformError, match="redirects /api/auth/login") as caught:
        PLATFORM.probe(open_.reader, SETTINGS)
    assert "to https://umami.test:8443/api/auth/login; nothing was sent there" in str(caught.value)
    assert "into `url`" in (caught.value.hint or "")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "two\r\nlines", "sp ace", "ümlaut", "end\n", 7, ["t"]])
def test_a_token_that_no_header_can_carry_is_not_umamis(token: object) -> None:
    """It was reached; a client that cannot send such a thing must not look as if the network were down."""
    body = {"token": token, "user": {"id": "1", "username": "siteward", "role": "admin"}}
    with doors(answering(200, json=body)) as open_, pytest.raises(NotThePlatformError, match="not as Umami does"):
        PLATFORM.probe(open_.reader, SETTINGS)


def test_a_token_that_is_refused_as_soon_as_it_was_given_ends_it_for_all() -> None:
    """Several servers with different secrets, or a proxy that drops the header: two logins, and the reason."""
    server = spoken()
    refusal = {"error": {"message": "Unauthorized", "code": "unauthorized", "status": 401}}
    server.route(path__startswith="/api/").respond(401, json=refusal)
    with doors(through(server)) as open_:
        with pytest.raises(
            UnauthenticatedError, match="gives a token at the login and then does not accept it"
        ) as caught:
            PLATFORM.probe(open_.reader, SETTINGS)
        with pytest.raises(UnauthenticatedError):
            PLATFORM.probe(open_.reader, SETTINGS)
    assert "APP_SECRET" in (caught.value.hint or "")
    assert server["login"].call_count == 2
    assert server.calls.call_count <= 14


def test_a_server_that_cannot_tell_whether_a_token_lives_is_asked_again() -> None:
    """A gateway's page in the place of the answer is none."""
    with umami() as at:
        at.fault("expire-token")
        at.fault("html:POST /api/auth/verify")
        assert at.reader.query("/api/admin/users").ok


def test_a_dead_token_is_renewed_once() -> None:
    """With Redis tokens end after an hour (API.md section 3); a long run goes on."""
    with umami() as at:
        begun = len(at.fake.calls)
        at.fault("expire-token")
        at.reader.query("/api/admin/users")
        assert at.calls(begun) == [
            "GET /api/admin/users",
            "POST /api/auth/verify",
            "POST /api/auth/login",
            "GET /api/admin/users",
        ]


def test_a_token_that_dies_during_a_command_does_not_repeat_its_effect() -> None:
    """The 401 says that nothing was done; the command then takes place once."""
    with umami() as at:
        at.fault("expire-token")
        team = next(iter(at.fake.state.teams))
        assert at.writer.command("POST", f"/api/teams/{team}", json={"name": "x"}).ok
        assert len([write for write in at.writes() if write == f"POST /api/teams/{team}"]) == 1


def test_not_allowed_is_told_from_a_dead_token() -> None:
    """The one 401 that means two things: with a living token nobody logs in again and again (MAPPING.md hazard 12)."""
    with umami() as at:
        me = next(user for user in at.fake.state.users.values() if user.username == "siteward")
        me.role = "user"
        begun = len(at.fake.calls)
        with pytest.raises(ForbiddenError, match="does not let this account GET /api/admin/users") as caught:
            at.reader.query("/api/admin/users")
        assert at.calls(begun) == ["GET /api/admin/users", "POST /api/auth/verify"]
        assert "role admin" in (caught.value.hint or "")


def test_the_login_is_made_once_for_all_threads() -> None:
    """Eight threads, one login."""
    fake = fake_of()
    with doors(fakery.in_process(fake)) as open_:
        open_.reader.map(lambda _: open_.reader.query("/api/admin/users"), range(24))
    assert [call.path for call in fake.calls].count("/api/auth/login") == 1


@pytest.mark.parametrize("fault", ["html", "cut", "429"])
def test_a_passing_fault_while_probing_is_outlived(fault: str) -> None:
    """One page of a gateway, one cut or one refusal."""
    fake = fake_of()
    fake.faults.append(Fault.parse(f"{fault}:GET /api/config"))
    with doors(fakery.in_process(fake)) as open_:
        assert PLATFORM.probe(open_.reader, SETTINGS)[0].version == "3.2"


def test_an_error_while_probing_is_no_release() -> None:
    """A 500 says nothing about the version, so nothing is concluded from it."""
    fake = fake_of()
    fake.faults.append(Fault.parse("500x0:GET /api/(config|admin/websites)"))
    with doors(fakery.in_process(fake)) as open_, pytest.raises(RefusedError, match="/api/config was answered 500"):
        PLATFORM.probe(open_.reader, SETTINGS)


@pytest.mark.parametrize("fault", ["html", "429", "cut"])
def test_a_login_that_comes_at_a_bad_moment_is_made_again(fault: str) -> None:
    """A busy server is waited for at the login as anywhere, and it is not taken for another product."""
    fake = fake_of()
    fake.faults.append(Fault.parse(f"{fault}:POST /api/auth/login"))
    with doors(fakery.in_process(fake)) as open_:
        assert PLATFORM.probe(open_.reader, SETTINGS)[0].version == "3.2"


@pytest.mark.parametrize("fault", ["html", "429"])
def test_a_login_at_a_bad_moment_does_not_leave_a_command_open(fault: str) -> None:
    """The command was refused for its dead token before, so it is known not to have happened, and is sent then."""
    with umami() as at:
        at.fault("expire-token")
        at.fault(f"{fault}:POST /api/auth/login")
        team = next(iter(at.fake.state.teams))
        assert at.writer.command("POST", f"/api/teams/{team}", json={"name": "x"}).ok
        assert at.writes() == [f"POST /api/teams/{team}"]


def test_reach_tells_who_we_are() -> None:
    """What doctor shows: the account, its role, and what nobody may expect."""
    with umami() as at:
        reach = PLATFORM.reach(at.reader, at.settings, at.traits)
    assert (reach.account, reach.role) == ("siteward", "admin")
    assert any("deleting it would delete them all" in note for note in reach.notes)


def test_a_wrong_password_is_tried_once() -> None:
    """Three lists are asked for at once; the server hears the wrong password from one of them."""
    fake = fake_of()
    with doors(fakery.in_process(fake), secrets(password="s3cret-wrong")) as open_, pytest.raises(UnauthenticatedError):
        PLATFORM.probe(open_.reader, SETTINGS)
    assert [call.path for call in fake.calls] == ["/api/auth/login"]
