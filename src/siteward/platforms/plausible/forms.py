"""The login to the web forms of Community Edition, and the token against forgery on every form (API.md section 10).

Pages are for people and change with every release, so only that token is read from them. The result of a form shows
in the status and in the redirect, and then in the database.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import struct
import threading
from email.utils import parsedate_to_datetime
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from siteward.access.hosts import covers
from siteward.platforms.auth import Dialogue, RenewingAuth
from siteward.transport._httpx import httpx
from siteward.transport.causes import redirected
from siteward.transport.errors import (
    ForbiddenError,
    NotThePlatformError,
    RedirectedError,
    UnauthenticatedError,
)
from siteward.transport.gates import foreign_page, raise_gate
from siteward.transport.http import NOT_NOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from siteward.transport.http import Reader
    from siteward.transport.secrets import Secret, Secrets

LOGIN, VERIFY, HOME = "/login", "/2fa/verify", "/sites"
FORM_READS = (
    ("GET", "/api/system"),
    ("GET", "/api/v1/sites"),
    ("GET", LOGIN),
    ("POST", LOGIN),
    ("GET", VERIFY),
    ("POST", VERIFY),
    ("GET", HOME),
)
# The token goes into a header, so only characters that a header can carry are accepted.
_TOKEN = re.compile(r'name="(?:_csrf_token|csrf-token)"[^>]*?(?:value|content)="([!#-~]+)"')
_ELSEWHERE = ("/activate", "/2fa/setup", "/sso")
_STEP = 30


class _NotNowError(Exception):
    """The login was answered with a status that only asks to try again later."""


class _SpentCodeError(UnauthenticatedError):
    """A code of the second factor that was not accepted; the next one may be."""


class WebLogin(RenewingAuth[str]):
    """Puts the session and its token on every form; logs in before the first one, and again when the session is over.

    Requests that need no session (`/api/…`) are sent without one. Forms are sent one at a time, because every answer may
    change the session. `team` is the team in use, once it is known; `now` the server's clock, as it last told it there.
    """

    passing = (_SpentCodeError,)

    def __init__(self, base: str, secrets: Secrets) -> None:
        super().__init__()
        self._base = base.rstrip("/")
        self._prefix = urlsplit(self._base).path
        self._email: Secret | None = secrets.optional("email")
        self._password: Secret | None = secrets.optional("password")
        self._totp: Secret | None = secrets.optional("totp_secret")
        self._cookies: dict[str, str] = {}
        self._turn = threading.Lock()
        self.team: str | None = None
        self.now: datetime | None = None

    @property
    def email(self) -> str | None:
        """The address of the account in use."""
        return self._email.reveal() if self._email else None

    def sync_auth_flow(self, request: httpx.Request) -> Dialogue[None]:
        """Send `request` as the account; raises `UnauthenticatedError` or `ForbiddenError` where that cannot be.

        A form that was answered "forged" (403), or with the way to the login, did nothing and is sent once more.
        """
        if request.url.path.removeprefix(self._prefix).startswith("/api/"):
            response = yield request
            self.now = _read_date(response) or self.now
            return
        with self._turn:
            yield from super().sync_auth_flow(request)

    def log_in(self, request: httpx.Request) -> Dialogue[str | None]:  # noqa: ARG002 — the same for all
        """Log in through the pages, and return the token of the new session."""
        try:
            return (yield from self._log_in_by_pages())
        except _NotNowError:
            return None

    def carrying(self, request: httpx.Request, token: str) -> httpx.Request:
        """Return the request with the session's cookies and its token."""
        request.headers["x-csrf-token"] = token
        return self._with_cookies(request)

    def is_dead(self, request: httpx.Request, response: httpx.Response, token: str) -> Dialogue[bool]:  # noqa: ARG002
        """Return whether the session is over; raises `ForbiddenError` where the account must do something else first."""
        yield from ()
        self._store_cookies(response)
        place = self._redirect_path(response)
        if place is not None and place.startswith(_ELSEWHERE):
            raise ForbiddenError(_describe_block(place), hint="log in with this account in a browser once")
        return response.status_code == 403 or place == LOGIN

    def _log_in_by_pages(self) -> Dialogue[str]:
        """Log in, with the second factor where it is asked for, and fetch the token of the new session."""
        if self._email is None or self._password is None:
            raise UnauthenticatedError(
                "writing to Community Edition goes through its web forms, and there is no account for them",
                hint="set …_EMAIL and …_PASSWORD of an owner or admin of the team",
            )
        self._cookies.clear()
        token = _read_token((yield from self._fetch(self._page_request(LOGIN))))
        form = {"_csrf_token": token, "email": self._email.reveal(), "password": self._password.reveal()}
        response = yield from self._fetch(self._form_request(LOGIN, form))
        place = self._redirect_path(response, NotThePlatformError)
        if place == VERIFY:
            place = yield from self._pass_second_factor()
        if place is None:
            raise _login_refusal(response)
        if place not in {HOME, "/"}:
            raise ForbiddenError(_describe_block(place), hint="log in with this account in a browser once")
        return _read_token((yield from self._fetch(self._page_request(HOME))))

    def _pass_second_factor(self) -> Dialogue[str]:
        """Send the code of this moment, and return the path that the answer leads to."""
        if self._totp is None:
            raise UnauthenticatedError(
                "Plausible asks for a second factor",
                hint="set …_TOTP_SECRET to the secret that the app was set up with",
            )
        page = yield from self._fetch(self._page_request(VERIFY))
        code = totp(self._totp.reveal(), _read_clock(page))
        answer = yield from self._fetch(self._form_request(VERIFY, {"_csrf_token": _read_token(page), "code": code}))
        place = self._redirect_path(answer, NotThePlatformError)
        if place is None:
            raise _SpentCodeError(
                "Plausible did not accept the second factor", hint="each code is good once: try again in a minute"
            )
        return place

    def _fetch(self, request: httpx.Request) -> Dialogue[httpx.Response]:
        """Send a request of the login, and keep the cookies of its answer."""
        response = yield request
        raise_gate(response)
        if response.status_code in NOT_NOW:
            raise _NotNowError
        self._store_cookies(response)
        return response

    def _page_request(self, path: str) -> httpx.Request:
        return self._with_cookies(httpx.Request("GET", self._base + path))

    def _form_request(self, path: str, form: dict[str, str]) -> httpx.Request:
        return self._with_cookies(httpx.Request("POST", self._base + path, data=form))

    def _with_cookies(self, request: httpx.Request) -> httpx.Request:
        request.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return request

    def _store_cookies(self, response: httpx.Response) -> None:
        for line in response.headers.get_list("set-cookie"):
            try:
                cookies = SimpleCookie(line)
            except CookieError:
                continue
            self._cookies |= {name: cookie.value for name, cookie in cookies.items()}

    def _redirect_path(self, response: httpx.Response, kind: type[NotThePlatformError] = RedirectedError) -> str | None:
        """Return the path that a redirect leads to, below the base, or `None` for no redirect.

        Raises `kind` for one that leads elsewhere: a page there is none of Plausible's, whatever it is called. At the
        login that is no `RedirectedError`, for the form that it was for has not been sent.
        """
        if not response.has_redirect_location:
            return None
        home, place = httpx.URL(self._base), response.request.url.join(response.headers["location"])
        path = place.raw_path.partition(b"?")[0].decode("ascii")
        if (place.scheme, place.host, place.port) != (home.scheme, home.host, home.port) or not covers(
            self._prefix, path
        ):
            error = redirected(response, str, kind)
            if self._prefix and place.host == home.host:
                error.hint = f"Plausible knows nothing of {self._prefix}: its proxy has to rewrite redirects (nginx: proxy_redirect / {self._prefix}/;)"
            raise error
        return path.removeprefix(self._prefix) or "/"


def own_email(reader: Reader) -> str | None:
    """Return the e-mail address of the account that logs in, or `None` where no web login is used."""
    return reader.auth.email if isinstance(reader.auth, WebLogin) else None


def own_clock(reader: Reader) -> datetime | None:
    """Return the server's time as of its last answer under `/api/`, or `None`."""
    return reader.auth.now if isinstance(reader.auth, WebLogin) else None


def team_at(reader: Reader, find: Callable[[], str]) -> str:
    """Return the id of the team in use; `find` is called once for each login."""
    if not isinstance(reader.auth, WebLogin):
        return find()
    if reader.auth.team is None:
        reader.auth.team = find()
    return reader.auth.team


def totp(secret: str, seconds: float) -> str:
    """Return the code of a moment in seconds since 1970 (RFC 6238: SHA-1, six digits, thirty seconds); `secret` is base32.

    Raises `UnauthenticatedError` for a secret that is not base32.
    """
    encoded = secret.replace(" ", "").upper()
    try:
        key = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
    except binascii.Error as error:
        raise UnauthenticatedError("the secret of the second factor is not valid base32 text") from error
    digest = hmac.digest(key, struct.pack(">Q", int(seconds) // _STEP), "sha1")
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def _read_clock(response: httpx.Response) -> float:
    """Return the server's time in seconds, by which codes of the second factor are valid; raises `NotThePlatformError`."""
    now = _read_date(response)
    if now is None:
        raise NotThePlatformError("the login page does not show the time")
    return now.timestamp()


def _read_date(response: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        return None


def _read_token(response: httpx.Response) -> str:
    """Return the token against forgery on a page; raises `NotThePlatformError` for a page without one."""
    if response.has_redirect_location:
        raise redirected(response, str)
    found = _TOKEN.search(response.text)
    if response.status_code != 200 or found is None:
        raise foreign_page(response) or NotThePlatformError(
            f"{response.request.url.path} is not a page of Plausible", hint="does `url` lead to Plausible itself?"
        )
    return found[1]


def _login_refusal(response: httpx.Response) -> UnauthenticatedError | NotThePlatformError:
    if response.status_code == 200:
        return UnauthenticatedError(
            "Plausible did not accept the e-mail and password", hint="try them in its login page"
        )
    return NotThePlatformError(f"the login was answered {response.status_code}, and not as Plausible does")


def _describe_block(place: str) -> str:
    return f"Plausible sends this account to {place} before it may do anything (unconfirmed address, or a forced second factor)"
