"""Commands: sent exactly once, and never believed to have failed when they may have succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from siteward.transport.errors import (
    NotThePlatformError,
    OutcomeUnknownError,
    RedirectedError,
    RefusedError,
    UnreachableError,
)
from siteward.transport.http import open_doors
from transport.servers import READS, Clock, Server, doors, link

if TYPE_CHECKING:
    from collections.abc import Generator

OK = httpx.Response(200, json={})


@pytest.mark.parametrize(
    "error",
    [httpx.ReadError("cut"), httpx.ReadTimeout("slow"), httpx.WriteError("cut"), httpx.RemoteProtocolError("half")],
)
def test_a_lost_answer_leaves_the_outcome_open(error: Exception) -> None:
    """It may have been done: nobody sends it again."""
    server = Server(error)
    with doors(server) as open_, pytest.raises(OutcomeUnknownError):
        open_.writer.command("POST", "/api/users", json={"password": "s3cret"})
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_tells_nothing_of_what_was_done(status: int) -> None:
    """The server behind it may have finished."""
    server = Server(httpx.Response(status))
    with doors(server) as open_, pytest.raises(OutcomeUnknownError, match=str(status)):
        open_.writer.command("DELETE", "/api/users/1")
    assert len(server.seen) == 1


@pytest.mark.parametrize("error", [httpx.ConnectError("no"), httpx.ConnectTimeout("no"), httpx.PoolTimeout("no")])
def test_what_was_never_sent_has_surely_not_happened(error: Exception) -> None:
    """No connection, no command."""
    with doors(Server(error)) as open_, pytest.raises(UnreachableError):
        open_.writer.command("POST", "/api/users")


def test_too_many_requests_is_no_execution() -> None:
    """429 says that nothing was done, so the command may be sent once more."""
    clock, server = Clock(), Server(httpx.Response(429, headers={"Retry-After": "3"}), OK)
    with doors(server, clock) as open_:
        assert open_.writer.command("POST", "/api/users").ok
    assert clock.slept == [3.0]
    assert len(server.seen) == 2


def test_too_many_requests_for_ever_is_refused() -> None:
    """Patience is bounded for commands too."""
    server = Server(httpx.Response(429))
    with doors(server) as open_, pytest.raises(RefusedError):
        open_.writer.command("POST", "/api/users")
    assert len(server.seen) == 5


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500])
def test_an_answer_is_an_answer(status: int) -> None:
    """What a status means for a command is for the adapter to say."""
    server = Server(httpx.Response(status))
    with doors(server) as open_:
        assert open_.writer.command("POST", "/api/users").status == status
    assert len(server.seen) == 1


def test_a_redirected_command_is_not_followed() -> None:
    """A command never ends up elsewhere."""
    server = Server(httpx.Response(307, headers={"Location": "https://evil.test/"}))
    with doors(server) as open_, pytest.raises(RedirectedError):
        open_.writer.command("POST", "/api/users")
    assert len(server.seen) == 1


class LoginFirst(httpx.Auth):
    """Logs in before the request."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        yield httpx.Request("POST", "https://umami.example.test/base/api/login")
        yield request


def test_a_login_that_breaks_off_is_no_lost_command() -> None:
    """The command had not gone out yet, so nothing is unknown."""
    with doors(Server(httpx.ReadError("cut")), auth=LoginFirst()) as open_, pytest.raises(UnreachableError):
        open_.writer.command("POST", "/api/users")


def test_a_command_whose_answer_is_too_long_may_have_been_carried_out() -> None:
    """It was sent, so nobody may say that it was not; of the login before it that is not said."""
    with (
        open_doors(link(_endless, size=1000), reads=READS) as open_,
        pytest.raises(OutcomeUnknownError, match="too long"),
    ):
        open_.writer.command("POST", "/api/users")
    with (
        open_doors(link(_endless, size=1000), reads=READS, auth=LoginFirst()) as open_,
        pytest.raises(NotThePlatformError, match="longer"),
    ):
        open_.writer.command("POST", "/api/users")


def _endless(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=iter([b"x" * 2000]))


def test_no_body_reaches_an_error() -> None:
    """Neither what was sent nor what came back is quoted."""
    with doors(Server(httpx.ReadError("cut"))) as open_, pytest.raises(OutcomeUnknownError) as caught:
        open_.writer.command("POST", "/api/users", json={"password": "s3cret"}, params={"token": "s3cret"})
    assert "s3cret" not in str(caught.value)
