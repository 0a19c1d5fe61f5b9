"""Authentication by API key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.transport._httpx import httpx

if TYPE_CHECKING:
    from collections.abc import Generator

    from siteward.platforms.plausible.rows import TeamRow
    from siteward.transport.secrets import Secret


class BearerAuth(httpx.Auth):
    """Puts the API key of one team on every request; it acts with the role of the user who made it (API.md section 2).

    `team` is that team, once it has been read.
    """

    def __init__(self, key: Secret) -> None:
        self._key = key
        self.team: TeamRow | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send `request` with the key."""
        request.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        yield request
