"""What of a person's stays in Plausible once their access has ended (API.md sections 2, 4 to 6 and 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import account_key
from siteward.platforms.interface import Leftover, native, open_to_all
from siteward.platforms.plausible.native_state import NativeState
from siteward.platforms.plausible.roles import WIDEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.state import Live

_LOOKERS = frozenset({"viewer", "billing"})


def leftovers(account: str, live: Live) -> Iterator[Leftover]:
    """Yield what stays: memberships of the team that are read, links to sites they managed, and what nothing shows."""
    state = native(live, NativeState)
    if account_key(account) not in live.access and not any(
        grant.subject.name == account for grant in live.access.grants()
    ):
        return
    if team := live.facts.get(account_key(account), {}).get("team"):
        yield Leftover(
            id="team", is_read=True, what=f"{account} is in the team as {team}",
            how="an owner or admin takes them out in the settings of the team; its members are never changed from here",
        )  # fmt: skip
    makers = {role.name for roles in WIDEST.roles.values() for role in roles} - _LOOKERS
    yield from open_to_all(account, live, makers)
    if state.traits.keys_unseen:
        yield Leftover(
            id="stats-keys", what="keys of theirs act as their person, have no end, and are listed by no call",
            how="they are dead once the person has left the team; replace them where programs use them",
        )  # fmt: skip
    yield Leftover(
        id="shared-links", what="shared links that they made stay open to whoever knows them, and the Sites API cannot list or delete them",
        how="look through Visibility in the settings of each site they managed, and delete those that nobody needs",
    )  # fmt: skip
    yield Leftover(
        id="recipients", what="they may be among the recipients of e-mail reports and traffic alerts, which need no account",
        how="look through Email Reports in the settings of each site they could see",
    )  # fmt: skip
    yield Leftover(
        id="segments", what="personal segments go with the access, segments of the site stay without an owner",
        how="nothing to end; have those that others need made segments of the site, before",
    )  # fmt: skip
