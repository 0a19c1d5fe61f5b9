"""Authentication by a login with name and password, repeated when the token is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from siteward.platforms.auth import Dialogue, RenewingAuth
from siteward.platforms.decode import MisshapenError, Some, Token, decoded
from siteward.platforms.umami.rows import NEEDS_ADMIN, Fault, FaultBody
from siteward.transport._httpx import httpx
from siteward.transport.causes import redirected
from siteward.transport.errors import ForbiddenError, NotThePlatformError, UnauthenticatedError
from siteward.transport.gates import raise_gate
from siteward.transport.http import NOT_NOW
from siteward.transport.redacted import Redacted

if TYPE_CHECKING:
    from collections.abc import Callable

    from siteward.transport.secrets import Secret, Secrets

LOGIN = "/api/auth/login"
VERIFY = "/api/auth/verify"
_UNAVAILABLE = 503


class Own(Struct, frozen=True):
    """The account that is logged in.

    3.2 echoes the name as it was typed (API.md section 3), so only `id` identifies the account.
    """

    id: Some
    username: str
    role: str


class _Reply(Redacted, frozen=True):
    token: Token | None = None
    user: Own | None = None
    two_factor: bool = field(default=False, name="requiresTwoFactor")


class Login(RenewingAuth[str]):
    """Logs in with a name and a password; `own` is the account that is logged in, once a login has succeeded.

    Umami says 401 for a dead token and for "not allowed" alike; `POST /api/auth/verify` tells them apart (API.md
    section 1). Tokens die when the password or the server's secret changes, and with Redis after an hour (section 3).
    A token that is refused as soon as it was given will be refused again, so all later requests fail at once.
    """

    def __init__(self, base: str, secrets: Secrets) -> None:
        super().__init__()
        self._base = base.rstrip("/")
        self._username: Secret = secrets.get("username")
        self._password: Secret = secrets.get("password")
        self._scrub = secrets.scrub
        self.own: Own | None = None

    def login_request(self) -> httpx.Request:
        """Return the request that logs in."""
        credentials = {"username": self._username.reveal(), "password": self._password.reveal()}
        return httpx.Request("POST", self._base + LOGIN, json=credentials)

    def admitted(self, reply: httpx.Response) -> str:
        """Return the token, and set `own`; raises `UnauthenticatedError` or `NotThePlatformError`."""
        token, self.own = _read_login(reply, self._scrub)
        return token

    def carrying(self, request: httpx.Request, token: str) -> httpx.Request:
        """Return the request with the token in its header."""
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    def is_dead(self, request: httpx.Request, response: httpx.Response, token: str) -> Dialogue[bool]:
        """Return whether the token is dead; raises `ForbiddenError` where it lives and the account may not do this."""
        if response.status_code != 401:
            return False
        alive = yield self.carrying(httpx.Request("POST", self._base + VERIFY), token)
        raise_gate(alive)
        if alive.status_code == 200:
            raise ForbiddenError(
                f"Umami does not let this account {request.method} {request.url.path}",
                hint=NEEDS_ADMIN,
            )
        return alive.status_code not in NOT_NOW

    def is_busy(self, reply: httpx.Response, request: httpx.Request) -> bool:  # noqa: ARG002 — the same for all
        """Return whether the login was answered with a status that only asks to try again later.

        A 503 about the second factor does not: it stays until the server has its key again (3.3; read, not driven).
        """
        return reply.status_code in NOT_NOW and not _lost_its_key(reply)

    def hopeless(self) -> UnauthenticatedError:
        """Return the error for a token that is refused as soon as it was given."""
        return UnauthenticatedError(
            "Umami gives a token at the login and then does not accept it",
            hint="do several servers with different APP_SECRETs answer at `url`, or does a proxy drop the header "
            "Authorization? Or is two-factor login required of the account (Umami 3.3 and later)?",
        )


def _fault(reply: httpx.Response) -> FaultBody:
    """Return the error in an answer; an empty one where it is not Umami's."""
    try:
        fault = decoded(Fault, reply.content).error
    except MisshapenError:
        return FaultBody()
    return fault if isinstance(fault, FaultBody) else FaultBody()


def _lost_its_key(reply: httpx.Response) -> bool:
    """Return whether a login failed because the server lacks the key for second factors: 503, by its code or words.

    Every other 503 (`database-unavailable`, or that of a proxy) may pass.
    """
    fault = _fault(reply) if reply.status_code == _UNAVAILABLE else FaultBody()
    return fault.code.startswith("two-factor") or "TWO_FACTOR" in fault.message


def _read_login(reply: httpx.Response, scrub: Callable[[str], str]) -> tuple[str, Own]:
    """Return the token and the account from the answer to a login; raises where it was refused or is no answer of Umami."""
    if reply.status_code == 401:
        raise UnauthenticatedError(
            "Umami did not accept the name and password", hint="try them in Umami's own login page"
        )
    if _lost_its_key(reply):
        raise UnauthenticatedError(
            f"this account has two-factor login, and Umami cannot check it: {scrub(_fault(reply).words)}",
            hint="set TWO_FACTOR_ENCRYPTION_KEY (64 hex digits) on the server again; accounts without two-factor login are "
            "not affected, and Siteward's own needs to be one",
        )
    if reply.has_redirect_location:
        raise redirected(reply, scrub)
    try:
        content = decoded(_Reply, reply.content) if reply.status_code == 200 else _Reply()
    except MisshapenError:
        content = _Reply()
    if content.two_factor:
        raise UnauthenticatedError(
            "Umami asks for a second factor, which a program cannot give",
            hint="use an account of its own for Siteward, without two-factor login (Umami 3.3 and later)",
        )
    if content.token is None or content.user is None:
        raise NotThePlatformError(
            f"the login at {reply.request.url.path} was answered {reply.status_code}, and not as Umami does",
            hint="does `url` lead to Umami itself, with its base path if it has one?",
        )
    return content.token, content.user
