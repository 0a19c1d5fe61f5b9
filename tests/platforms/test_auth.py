"""Tokens are renewed once for all threads, and a refusal is heard once for all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ClassVar

import httpx
import pytest

from siteward.platforms.auth import Dialogue, RenewingAuth
from siteward.transport.errors import (
    ForbiddenError,
    NotThePlatformError,
    PlatformError,
    UnauthenticatedError,
    UnreachableError,
)


@dataclass
class Server:
    """Gives out tokens and takes the newest one; `answers` are given to logins first, `seen` are all requests."""

    answers: list[int] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    given: int = 0
    takes_any: bool = True

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.url.path)
        if request.url.path == "/login":
            if self.answers:
                return httpx.Response(self.answers.pop(0))
            self.given += 1
            return httpx.Response(200, json={"token": f"t{self.given}"})
        good = self.takes_any and request.headers["token"] == f"t{self.given}"
        return httpx.Response(200 if good else 401)

    @property
    def logins(self) -> int:
        return self.seen.count("/login")


class SpentError(UnauthenticatedError):
    """May be good the next time."""


class Auth(RenewingAuth[str]):
    """The smallest one."""

    passing = (SpentError,)
    errors: ClassVar[dict[int, type[PlatformError]]] = {
        401: UnauthenticatedError, 402: ForbiddenError, 404: NotThePlatformError, 409: SpentError, 500: UnreachableError,
    }  # fmt: skip

    def login_request(self) -> httpx.Request:
        return httpx.Request("POST", "http://toy.test/login")

    def admitted(self, reply: httpx.Response) -> str:
        if reply.status_code != 200:
            raise self.errors[reply.status_code]("no")
        return str(reply.json()["token"])

    def carrying(self, request: httpx.Request, token: str) -> httpx.Request:
        request.headers["token"] = token
        return request

    def is_dead(self, request: httpx.Request, response: httpx.Response, token: str) -> Dialogue[bool]:
        yield from ()
        return response.status_code == 401

    def is_busy(self, reply: httpx.Response, request: httpx.Request) -> bool:
        return reply.status_code == 429


class Hopeless(Auth):
    """Takes a token that is refused at once for the end."""

    def hopeless(self) -> UnauthenticatedError:
        return UnauthenticatedError("given and not accepted")


def client(server: Server, kind: type[Auth] = Auth) -> httpx.Client:
    return httpx.Client(base_url="http://toy.test", transport=httpx.MockTransport(server), auth=kind())


def test_many_threads_log_in_once() -> None:
    """The others wait for the one that does."""
    server = Server()
    with client(server) as http, ThreadPoolExecutor(8) as pool:
        assert {response.status_code for response in pool.map(http.get, ["/x"] * 40)} == {200}
    assert server.logins == 1


def test_a_token_that_died_is_renewed_once_and_the_request_sent_again() -> None:
    """The answer to the second sending is the request's."""
    server = Server()
    with client(server) as http:
        http.get("/x")
        server.given = 7
        assert http.post("/y").status_code == 200
        assert http.get("/z").status_code == 200
    assert server.seen == ["/login", "/x", "/y", "/login", "/y", "/z"]


@pytest.mark.parametrize("status", [401, 402, 404])
def test_a_refusal_is_heard_once_for_all(status: int) -> None:
    """No account is locked out by trying, and nothing is sent again to what is not the platform."""
    server = Server(answers=[status])
    with client(server) as http:
        for _ in range(3):
            with pytest.raises(Auth.errors[status]):
                http.get("/x")
    assert server.seen == ["/login"]


@pytest.mark.parametrize("status", [409, 500])
def test_what_may_pass_is_tried_again(status: int) -> None:
    """A code that is good once, a server that is not ready."""
    server = Server(answers=[status])
    with client(server) as http:
        with pytest.raises(Auth.errors[status]):
            http.get("/x")
        assert http.get("/x").status_code == 200


def test_a_busy_login_is_the_answer_and_nothing_is_sent() -> None:
    """The transport waits and begins again."""
    server = Server(answers=[429])
    with client(server) as http:
        assert http.post("/x").status_code == 429
        assert http.post("/x").status_code == 200
    assert server.seen == ["/login", "/login", "/x"]


@pytest.mark.parametrize(("kind", "logins"), [(Auth, 4), (Hopeless, 2)])
def test_a_token_that_is_dead_as_soon_as_it_was_given(kind: type[Auth], logins: int) -> None:
    """The answer stands, or it ends everything: the adapter says which."""
    server = Server(takes_any=False)
    with client(server, kind) as http:
        for _ in range(3):
            if kind is Hopeless:
                with pytest.raises(UnauthenticatedError, match="given and not accepted"):
                    http.get("/x")
            else:
                assert http.get("/x").status_code == 401
    assert server.logins == logins
