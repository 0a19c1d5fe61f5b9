"""How Siteward proves to Piwik PRO who it is: client credentials for a token of thirty minutes, renewed on the way.

The token acts as the person who made the API key, with that person's role and grants (API.md section 1).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from siteward.platforms.decode import Misshapen, decoded
from siteward.transport.causes import redirected
from siteward.transport.errors import Forbidden, NotThePlatform, Unauthenticated, Unreachable
from siteward.transport.lean import httpx
from siteward.transport.texts import Token  # noqa: TC001 — msgspec reads it at run time
from siteward.transport.veil import Veiled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from siteward.platforms.piwikpro.rows import Row, User
    from siteward.transport.secrets import Secret, Secrets

TOKEN = "/auth/token"  # noqa: S105 — a path
_EARLY = 60.0
_BUSY = 429


class _Reply(Veiled, frozen=True):
    access_token: Token
    expires_in: float


class _Pass(Veiled, frozen=True):
    token: str
    until: float


class ClientCredentials(httpx.Auth):
    """Puts a living token on each request.

    A token is fetched before the first request, again a minute before its end, and once more when the server says
    401: that is said before anything is done, so the same request may be sent again, a command too.
    """

    requires_response_body = True

    def __init__(self, base: str, secrets: Secrets, clock: Callable[[], float]) -> None:
        self._url = base.rstrip("/") + TOKEN
        self._id: Secret = secrets.get("client_id")
        self._secret: Secret = secrets.get("client_secret")
        self._scrub = secrets.scrub
        self._clock = clock
        self._lock = threading.Lock()
        self._pass: _Pass | None = None
        self.own: Row[User] | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send `request` with a token that lives; raises `Unauthenticated`, `Forbidden` or `Unreachable`."""
        held = yield from self._living(request, None)
        if held is None:
            return
        response = yield _carrying(request, held)
        if response.status_code != 401:
            return
        renewed = yield from self._living(request, held)
        if renewed is not None:
            yield _carrying(request, renewed)

    def _living(
        self, request: httpx.Request, dead: _Pass | None
    ) -> Generator[httpx.Request, httpx.Response, _Pass | None]:
        """Return a token that lives, fetched unless another thread has done so since `dead` was in use.

        `None` means that the server answered "not now" to the fetching. That answer then stands for the request's,
        whose sender knows how to wait.
        """
        with self._lock:
            held = self._pass
            if held is not None and held != dead and self._clock() < held.until - _EARLY:
                return held
            reply = yield httpx.Request(
                "POST",
                self._url,
                json={
                    "grant_type": "client_credentials",
                    "client_id": self._id.reveal(),
                    "client_secret": self._secret.reveal(),
                },
            )
            if reply.status_code == _BUSY or (reply.status_code >= 500 and request.method == "GET"):
                return None
            self._pass = self._admitted(reply)
            return self._pass

    def _admitted(self, reply: httpx.Response) -> _Pass:
        match reply.status_code:
            case 400 | 401:
                raise Unauthenticated(
                    "Piwik PRO did not accept the client id and secret",
                    hint="a key lives until it, or the person who made it, is deleted; make one in Profile, API keys",
                )
            case 402:
                raise Forbidden("Piwik PRO says that this organisation has no active licence")
            case status if status >= 500:
                raise Unreachable(f"Piwik PRO answered {status} when asked for a token; nothing was sent")
        if reply.has_redirect_location:
            raise redirected(reply, self._scrub)
        try:
            told = decoded(_Reply, reply.content)
        except Misshapen:
            raise NotThePlatform(
                f"{TOKEN} was answered {reply.status_code}, and not as Piwik PRO does",
                hint="does `url` lead to the account's own host, https://ACCOUNT.piwik.pro?",
            ) from None
        return _Pass(told.access_token, self._clock() + told.expires_in)


def _carrying(request: httpx.Request, held: _Pass) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {held.token}"
    return request
