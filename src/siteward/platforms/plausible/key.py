"""The API key, put on every request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.transport._httpx import httpx

if TYPE_CHECKING:
    from collections.abc import Generator

    from siteward.platforms.plausible.rows import TeamRow
    from siteward.transport.secrets import Secret


class BearerAuth(httpx.Auth):
    """Proves by a key of one team; the key acts as its user, whose role decides what it may do (API.md section 2).

    `team` is that team, once it was asked for.
    """

    def __init__(self, key: Secret) -> None:
        self._key = key
        self.team: TeamRow | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send `request` with the key."""
        request.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        yield request
