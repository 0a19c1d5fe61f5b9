"""How Siteward proves to Umami who it is: log in with name and password, and again when the token has died."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from msgspec import Struct, field

from siteward.platforms.decode import Misshapen, decoded
from siteward.transport.causes import redirected
from siteward.transport.errors import Forbidden, NotThePlatform, PlatformError, Unauthenticated
from siteward.transport.http import NOT_NOW
from siteward.transport.lean import httpx
from siteward.transport.texts import Some, Token  # noqa: TC001 — msgspec reads them at run time
from siteward.transport.veil import Veiled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from siteward.platforms.umami.rows import Listings
    from siteward.transport.secrets import Secret, Secrets

LOGIN = "/api/auth/login"
VERIFY = "/api/auth/verify"


class Own(Struct, frozen=True):
    """The account that is logged in.

    3.2 echoes the name as it was typed (API.md section 3), so only `id` tells which account it is.
    """

    id: Some
    username: str
    role: str


class _Reply(Veiled, frozen=True):
    token: Token | None = None
    user: Own | None = None
    two_factor: bool = field(default=False, name="requiresTwoFactor")


class Login(httpx.Auth):
    """Puts a token on each request; logs in before the first one and once more when a token is dead.

    Umami says 401 for a dead token and for "not allowed" alike; `POST /api/auth/verify` tells them apart (API.md
    section 1). Tokens die when the password or the server's secret changes, and with Redis after an hour (section 3).
    A token that is refused as soon as it was given will not be better the next time, so that ends it for all threads.
    """

    requires_response_body = True
    # `own` is who is logged in; `listings` what finding out the release has brought, for reading to use once.

    def __init__(self, base: str, secrets: Secrets) -> None:
        self._base = base.rstrip("/")
        self._username: Secret = secrets.get("username")
        self._password: Secret = secrets.get("password")
        self._scrub = secrets.scrub
        self._token: str | None = None
        self._lock = threading.Lock()
        self._refusal: PlatformError | None = None
        self.own: Own | None = None
        self.listings: Listings | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send `request` with a token that lives; raises `Unauthenticated` or `Forbidden` where none helps.

        Where the login is answered "not now", that answer is the last: the transport waits and begins again.
        """
        token = self._token or (yield from self._renew(None))
        if token is None or not (yield from self._refused(request, token)):
            return
        renewed = yield from self._renew(token)
        if renewed is None or not (yield from self._refused(request, renewed)):
            return
        self._refusal = Unauthenticated(
            "Umami gives a token at the login and then does not accept it",
            hint="do several servers with different APP_SECRETs answer at `url`, or does a proxy drop the header "
            "Authorization?",
        )
        raise self._refusal

    def _refused(self, request: httpx.Request, token: str) -> Generator[httpx.Request, httpx.Response, bool]:
        """Send `request` with `token` and tell whether that is dead; raises `Forbidden` where it lives and may not."""
        if self._refusal is not None:
            raise self._refusal
        response = yield _carrying(request, token)
        if response.status_code != 401:
            return False
        alive = yield _carrying(httpx.Request("POST", self._base + VERIFY), token)
        if alive.status_code == 200:
            raise Forbidden(
                f"Umami does not let this account {request.method} {request.url.path}",
                hint="the account needs Umami's role admin",
            )
        return alive.status_code not in NOT_NOW

    def _renew(self, dead: str | None) -> Generator[httpx.Request, httpx.Response, str | None]:
        """Log in, unless another thread has done so since `dead` was in use; `None` where the server is too busy."""
        with self._lock:
            if self._refusal is not None:  # what other threads would hear as well; nobody knocks a second time
                raise self._refusal
            if self._token is None or self._token == dead:
                reply = yield httpx.Request(
                    "POST",
                    self._base + LOGIN,
                    json={"username": self._username.reveal(), "password": self._password.reveal()},
                )
                if reply.status_code in NOT_NOW:
                    return None
                try:
                    self._token, self.own = _admitted(reply, self._scrub)
                except PlatformError as refusal:
                    self._refusal = refusal
                    raise
            return self._token


def _carrying(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _admitted(reply: httpx.Response, scrub: Callable[[str], str]) -> tuple[str, Own]:
    if reply.status_code == 401:
        raise Unauthenticated("Umami did not accept the name and password", hint="try them in Umami's own login page")
    if reply.has_redirect_location:
        raise redirected(reply, scrub)
    try:
        content = decoded(_Reply, reply.content) if reply.status_code == 200 else _Reply()
    except Misshapen:
        content = _Reply()
    if content.two_factor:
        raise Unauthenticated(
            "Umami asks for a second factor, which a program cannot give",
            hint="use an account of its own for Siteward, without two-factor login (Umami 3.3 and later)",
        )
    if content.token is None or content.user is None:
        raise NotThePlatform(
            f"the login at {reply.request.url.path} was answered {reply.status_code}, and not as Umami does",
            hint="does `url` lead to Umami itself, with its base path if it has one?",
        )
    return content.token, content.user
