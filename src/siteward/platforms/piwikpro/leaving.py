"""What of a person's stays in Piwik PRO once their access has ended (API.md sections 1 and 3, MAPPING.md section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import account_key
from siteward.platforms.interface import Leftover

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.state import Live


def leftovers(account: str, live: Live) -> Iterator[Leftover]:
    """Yield what stays; no call lists any of it, so nothing is ticked by reading."""
    if account_key(account) not in live.access:
        return
    yield Leftover(
        id="api-keys", what="API keys have no end, and no call lists or revokes them; they act with the rights of their person",
        how="have them deleted under Menu, Profile, API keys; deleting the account is believed to end them",
    )  # fmt: skip
    yield Leftover(
        id="reports",
        what="private reports and dashboards are lost with the account",
        how="have those that others need shared",
    )
    yield Leftover(
        id="sign-on", what="with SAML the account comes back at the next login",
        how="take the person out of the application in the identity provider",
    )  # fmt: skip
