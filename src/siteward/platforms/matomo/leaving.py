"""What of a person's stays on a Matomo once their access has ended (API.md sections 2.5, 2.6 and 2.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.interface import Leftover, native
from siteward.platforms.matomo.native_state import NativeState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.state import Live


def leftovers(account: str, live: Live) -> Iterator[Leftover]:
    """Yield what stays; no call lists any of it, so nothing is ticked by reading."""
    state = native(live, NativeState)
    user = state.user(account)
    if user is None:
        return
    yield Leftover(
        id="tokens", what="no call lists or revokes tokens; without any access left a token opens nothing",
        how="deleting the account deletes them; tokens in scripts and embedded widgets have to be replaced",
    )  # fmt: skip
    if not state.version.ends_sessions:
        yield Leftover(
            id="sessions", what="this release has no call that ends web sessions",
            how="they open nothing once the access has ended; deleting the account ends them",
        )  # fmt: skip
    if user.superuser:
        yield Leftover(
            id="secrets", what="a superuser may have seen credentials of others, and the settings of the server",
            how="change the secrets that plugins keep, such as those for mail and advertising accounts",
        )  # fmt: skip
    yield Leftover(
        id="reports", what="scheduled reports of others may be mailed to them; their own on a site end with the access to it",
        how="look through the recipients of scheduled reports on each of their sites",
    )  # fmt: skip
    yield Leftover(
        id="segments", what="segments of theirs stay, and move to a superuser when the account is deleted",
        how="have those that others use handed over",
    )  # fmt: skip
    yield Leftover(
        id="dashboards",
        what="dashboards of theirs are deleted with the account",
        how="copy those that others need, before",
    )
    yield Leftover(
        id="annotations",
        what="annotations stay, under their name",
        how="decide whether they may; edit them on each site",
    )
