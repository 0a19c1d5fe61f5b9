"""Tokens that are renewed on the way: one login for all threads, and none after a refusal.

    request ─ token that lives ─ answer ─┬─ good: that is it
                                         └─ the token is dead: log in, once for all threads, and send again

A server says that a token is dead before it does anything, so the same request may be sent again, a command too.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar, Generic, TypeAlias, TypeVar

from siteward.transport._httpx import httpx
from siteward.transport.errors import ForbiddenError, NotThePlatformError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Generator

    from siteward.transport.errors import PlatformError

T = TypeVar("T")
R = TypeVar("R")
# Requests that are sent on the way to a result, each answered before the next.
Dialogue: TypeAlias = "Generator[httpx.Request, httpx.Response, R]"


class RenewingAuth(httpx.Auth, Generic[T]):
    """Puts a token on each request; logs in before the first one, and again when the token is dead.

    An adapter says what its login is (`login_request` and `admitted`, or the whole `log_in` where it takes several
    requests), how a token goes onto a request (`carrying`), and which answer means that it is dead (`is_dead`).

    Refused once, refused for all: what ended a login is raised for every later request, so that no account is locked
    out by trying and no password is sent again to what is not the platform. What may pass (`passing`, and a server
    that is not ready) is not kept.
    """

    requires_response_body = True
    passing: ClassVar[tuple[type[PlatformError], ...]] = ()

    def __init__(self) -> None:
        self._token: T | None = None
        self._lock = threading.Lock()
        self._refusal: PlatformError | None = None

    # --- what an adapter says -----------------------------------------------------------------------------------------

    def login_request(self) -> httpx.Request:
        """Return the request that asks for a token."""
        raise NotImplementedError

    def admitted(self, reply: httpx.Response) -> T:
        """Return the token that the login was answered with; raises `PlatformError` where it was not let in."""
        raise NotImplementedError

    def carrying(self, request: httpx.Request, token: T) -> httpx.Request:
        """Return the request with the token on it."""
        raise NotImplementedError

    def is_dead(self, request: httpx.Request, response: httpx.Response, token: T) -> Dialogue[bool]:
        """Tell whether an answer means that the token is dead; may ask the server. Raises `PlatformError`."""
        raise NotImplementedError

    def is_busy(self, reply: httpx.Response, request: httpx.Request) -> bool:
        """Tell whether the login for `request` was answered "not now"."""
        raise NotImplementedError

    def lives(self, token: T) -> bool:  # noqa: ARG002 — for platforms that say when a token ends
        """Tell whether a token is still good, as far as is known here."""
        return True

    def hopeless(self) -> PlatformError | None:
        """Return the error for a token that is dead as soon as it was given; `None` lets the answer stand."""
        return None

    def log_in(self, request: httpx.Request) -> Dialogue[T | None]:
        """Log in for `request` and return the token; `None` where the server is too busy for it."""
        reply = yield self.login_request()
        return None if self.is_busy(reply, request) else self.admitted(reply)

    # --- what httpx calls ---------------------------------------------------------------------------------------------

    def sync_auth_flow(self, request: httpx.Request) -> Dialogue[None]:
        """Send `request` with a token that lives; raises `PlatformError` where there is none.

        Where the login is answered "not now", that answer is the last: the transport waits and begins again.
        """
        token = yield from self._living(request, None)
        if token is None or not (yield from self._is_refused(request, token)):
            return
        renewed = yield from self._living(request, token)
        if renewed is None or not (yield from self._is_refused(request, renewed)):
            return
        error = self.hopeless()
        if error is not None:
            self._refusal = error
            raise error

    def _is_refused(self, request: httpx.Request, token: T) -> Dialogue[bool]:
        """Send `request` and tell whether its token is dead."""
        if self._refusal is not None:
            raise self._refusal
        response = yield self.carrying(request, token)
        return (yield from self.is_dead(request, response, token))

    def _living(self, request: httpx.Request, dead: T | None) -> Dialogue[T | None]:
        """Return a token that lives, fetched unless another thread has done so since `dead` was in use."""
        with self._lock:
            if self._refusal is not None:
                raise self._refusal
            if self._token is not None and self._token != dead and self.lives(self._token):
                return self._token
            self._token = None
            try:
                self._token = yield from self.log_in(request)
            except (UnauthenticatedError, ForbiddenError, NotThePlatformError) as refusal:
                if not isinstance(refusal, self.passing):
                    self._refusal = refusal
                raise
            return self._token
