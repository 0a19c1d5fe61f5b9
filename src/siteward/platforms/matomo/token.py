"""The token and the password: where they go in a request, and what happens when one is refused.

The token is the first field of the form body: PHP drops fields after the thousandth, and a token in the URL would be
logged (API.md section 0). One refusal closes the door for good: twenty-one failures lock the address out for an hour,
good tokens included (API.md section 1.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.transport.errors import Unauthenticated
from siteward.transport.lean import httpx

if TYPE_CHECKING:
    from collections.abc import Generator

    from siteward.transport.secrets import Secret


class Token(httpx.Auth):
    """Puts the token in front of each form body; holds the password of its owner for what needs it."""

    requires_request_body = True

    def __init__(self, token: Secret, password: Secret | None) -> None:
        self._token = token
        self.password = password
        self.refused: str | None = None
        self.password_refused = False

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with the token; raises `Unauthenticated`, sending nothing, after a refusal."""
        if self.refused is not None:
            raise Unauthenticated(self.refused)
        fields = httpx.QueryParams({"token_auth": self._token.reveal()})
        body = b"&".join(each for each in (str(fields).encode("ascii"), request.content) if each)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        yield httpx.Request(request.method, request.url, headers=headers, content=body, extensions=request.extensions)

    def close(self, why: str) -> Unauthenticated:
        """Let nothing more out, and return the error that says why."""
        self.refused = why
        return Unauthenticated(why)
