"""The connection to one Piwik PRO account: tokens, reading calls, rate limits, and the user who made the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.auth import Dialogue, RenewingAuth
from siteward.platforms.decode import MisshapenError, Token, decoded
from siteward.platforms.piwikpro.rows import One, User, ask
from siteward.transport._httpx import httpx
from siteward.transport.causes import redirected
from siteward.transport.errors import ForbiddenError, NotThePlatformError, UnauthenticatedError, UnreachableError
from siteward.transport.http import Doors, Rate, Reading, open_doors
from siteward.transport.redacted import Redacted

if TYPE_CHECKING:
    from collections.abc import Callable

    from siteward.platforms.piwikpro.rows import Row
    from siteward.platforms.piwikpro.settings import Settings
    from siteward.transport.http import Reader
    from siteward.transport.link import Link
    from siteward.transport.secrets import Secret, Secrets


TOKEN = "/auth/token"  # noqa: S105 — a path
# A token is renewed that many seconds before its end, so that it lives for as long as the request travels.
_EARLY = 60.0
_BUSY = 429
JSON_API = "application/vnd.api+json"
ME = "/api/users/v2/me"

READS = (
    Reading("POST", TOKEN),
    Reading("GET", r"/api/(users|apps|access-control)/v2(/.*)?"),
    Reading("GET", r"/api/(user-groups|meta-sites|modules|audit-log)/v1(/.*)?"),
    Reading("POST", r"/api/modules/v1/by-users"),
)

# 600 GET and 60 other calls a minute, by the method alone (API.md section 1). A minute has a second more here, because
# a request that travels faster than the one a minute before it would still be too many in the server's minute.
_MINUTE = 61.0
RATES = (Rate(600, _MINUTE),)
WRITE_RATES = (Rate(60, _MINUTE),)
SECONDS_A_WRITE = _MINUTE / 60


def connect(settings: Settings, secrets: Secrets, link: Link) -> Doors:  # noqa: ARG001 — the same for all settings
    """Return the doors; nothing is sent until the first request, which fetches a token."""
    return open_doors(
        link,
        reads=READS,
        auth=ClientCredentials(link.url, secrets, link.clock),
        headers={"Accept": JSON_API, "Content-Type": JSON_API},
        rates=RATES,
        write_rates=WRITE_RATES,
        posts_are_writes=True,
        scrub=secrets.scrub,
    )


def own_user(reader: Reader) -> Row[User]:
    """Return the user who made the key; it is read once and kept beside the token.

    Raises `PlatformError`, and `TypeError` if another adapter has opened the reader.
    """
    login = reader.auth
    if not isinstance(login, ClientCredentials):
        raise TypeError("this reader was not opened by the Piwik PRO adapter")
    if login.own is None:
        login.own = ask(reader, ME, One[User]).data
    return login.own


# --- tokens -----------------------------------------------------------------------------------------------------------


class _Reply(Redacted, frozen=True):
    """The answer to a login; `expires_in` is in seconds, and counts as half an hour where it is missing."""

    access_token: Token
    expires_in: float = 1800.0


class _LiveToken(Redacted, frozen=True):
    """A token, and the moment of its end on the connection's clock."""

    token: str
    until: float


class ClientCredentials(RenewingAuth[_LiveToken]):
    """Fetches a token by client id and secret, and a new one a minute before it expires.

    `own` is the user who made the key, once it has been read.
    """

    def __init__(self, base: str, secrets: Secrets, clock: Callable[[], float]) -> None:
        super().__init__()
        self._url = base.rstrip("/") + TOKEN
        self._id: Secret = secrets.get("client_id")
        self._secret: Secret = secrets.get("client_secret")
        self._scrub = secrets.scrub
        self._clock = clock
        self.own: Row[User] | None = None

    def login_request(self) -> httpx.Request:
        """Return the request for a token."""
        credentials = {"client_id": self._id.reveal(), "client_secret": self._secret.reveal()}
        return httpx.Request("POST", self._url, json={"grant_type": "client_credentials", **credentials})

    def carrying(self, request: httpx.Request, token: _LiveToken) -> httpx.Request:
        """Return the request with the token in its header."""
        request.headers["Authorization"] = f"Bearer {token.token}"
        return request

    def is_dead(self, request: httpx.Request, response: httpx.Response, token: _LiveToken) -> Dialogue[bool]:  # noqa: ARG002
        """Return whether the answer is 401, which Piwik PRO gives before it does anything."""
        yield from ()
        return response.status_code == 401

    def lives(self, token: _LiveToken) -> bool:
        """Return whether the token is good for more than a minute."""
        return self._clock() < token.until - _EARLY

    def is_busy(self, reply: httpx.Response, request: httpx.Request) -> bool:
        """Return whether to wait for the token; only reading calls wait where the server failed."""
        return reply.status_code == _BUSY or (reply.status_code >= 500 and request.method == "GET")

    def admitted(self, reply: httpx.Response) -> _LiveToken:
        """Return the token.

        Raises `UnauthenticatedError`, `ForbiddenError` or `NotThePlatformError`, and `UnreachableError` where the server failed.
        """
        match reply.status_code:
            case 400 | 401:
                raise UnauthenticatedError(
                    "Piwik PRO did not accept the client id and secret",
                    hint="a key lives until it, or the person who made it, is deleted; make one in Profile, API keys",
                )
            case 402:
                raise ForbiddenError("Piwik PRO says that this organisation has no active licence")
            case status if status >= 500:
                raise UnreachableError(f"Piwik PRO answered {status} when asked for a token; nothing was sent")
        if reply.has_redirect_location:
            raise redirected(reply, self._scrub)
        try:
            body = decoded(_Reply, reply.content)
        except MisshapenError:
            raise NotThePlatformError(
                f"{TOKEN} was answered {reply.status_code}, and not as Piwik PRO does",
                hint="does `url` lead to the account's own host, https://ACCOUNT.piwik.pro?",
            ) from None
        return _LiveToken(body.access_token, self._clock() + body.expires_in)
