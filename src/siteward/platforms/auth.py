"""Authentication by tokens that are renewed: one login serves all threads, and a refused login is not tried again.

    request ─ token that lives ─ answer ─┬─ good: that is it
                                         └─ the token is dead: log in, once for all threads, and send again, once

A server refuses a dead token before it does anything, so the same request may be sent again, even a command.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeAlias, TypeVar

from siteward.transport._httpx import httpx
from siteward.transport.errors import ForbiddenError, NotThePlatformError, UnauthenticatedError
from siteward.transport.gates import raise_gate

if TYPE_CHECKING:
    from collections.abc import Generator

    from siteward.transport.errors import PlatformError

T = TypeVar("T")
R = TypeVar("R")
_OK = 200
# Yields requests, is sent the response to each, and returns a result.
Dialogue: TypeAlias = "Generator[httpx.Request, httpx.Response, R]"


class RenewingAuth(httpx.Auth, ABC, Generic[T]):
    """Authentication of httpx that puts a token on each request and logs in when there is none that lives.

    An adapter defines its login (`login_request` and `admitted`, or the whole `log_in` where it takes several requests),
    how a token goes onto a request (`carrying`), and which answer means that it is dead (`is_dead`).

    The error that ended a login is raised for every later request, so that no account is locked out by retries and no
    password is sent again to another server. Errors that may pass (`passing`, and a server that is not ready) are not
    kept.
    """

    requires_response_body = True
    passing: ClassVar[tuple[type[PlatformError], ...]] = ()

    def __init__(self) -> None:
        self._token: T | None = None
        self._lock = threading.Lock()
        self._refusal: PlatformError | None = None

    # --- for adapters to define ---------------------------------------------------------------------------------------

    def login_request(self) -> httpx.Request:
        """Return the request that asks for a token."""
        raise NotImplementedError

    def admitted(self, reply: httpx.Response) -> T:
        """Return the token from the answer to a login; raises `PlatformError` if the login was refused."""
        raise NotImplementedError

    @abstractmethod
    def carrying(self, request: httpx.Request, token: T) -> httpx.Request:
        """Return the request with the token on it."""

    @abstractmethod
    def is_dead(self, request: httpx.Request, response: httpx.Response, token: T) -> Dialogue[bool]:
        """Return whether an answer means that the token is dead; may send requests. Raises `PlatformError`."""

    def is_busy(self, reply: httpx.Response, request: httpx.Request) -> bool:
        """Return whether the login for `request` was answered "not now", so that the transport is to wait and try again."""
        raise NotImplementedError

    def lives(self, token: T) -> bool:  # noqa: ARG002 — for platforms that say when a token ends
        """Return whether a token has not expired yet; true where its end is not known."""
        return True

    def hopeless(self) -> PlatformError | None:
        """Return the error for a server that refuses even a new token; with `None` its answer is returned as it is."""
        return None

    def log_in(self, request: httpx.Request) -> Dialogue[T | None]:
        """Log in for `request` and return the token, or `None` if the server is too busy."""
        reply = yield self.login_request()
        raise_gate(reply)
        return None if self.is_busy(reply, request) else self.admitted(reply)

    # --- called by httpx ----------------------------------------------------------------------------------------------

    def sync_auth_flow(self, request: httpx.Request) -> Dialogue[None]:
        """Send `request` with a living token; raises the `PlatformError` of the login if there is none.

        Where the login is answered "not now", that answer is the last: the transport waits and begins again.
        """
        token = yield from self._living_token(request, None)
        if token is None or not (yield from self._is_refused(request, token)):
            return
        renewed = yield from self._living_token(request, token)
        if renewed is None or not (yield from self._is_refused(request, renewed)):
            return
        error = self.hopeless()
        if error is not None:
            self._refusal = error
            raise error

    def _is_refused(self, request: httpx.Request, token: T) -> Dialogue[bool]:
        """Send `request` with the token and return whether the answer means that the token is dead."""
        if self._refusal is not None:
            raise self._refusal
        response = yield self.carrying(request, token)
        if response.status_code != _OK:
            raise_gate(response)
        return (yield from self.is_dead(request, response, token))

    def _living_token(self, request: httpx.Request, dead: T | None) -> Dialogue[T | None]:
        """Return a living token, fetched unless another thread has done so since `dead` was in use."""
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
