"""What of a person's stays on an Umami once their access has ended (API.md sections 3 to 6, NEWER.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.interface import Leftover, native, open_to_all
from siteward.platforms.umami.native_state import NativeState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.state import Live

_EDITORS = frozenset({"team-member", "team-manager", "owner"})


def leftovers(account: str, live: Live) -> Iterator[Leftover]:
    """Yield what stays: what the account owns, by name, and the ways in that are kept nowhere a list shows them."""
    state = native(live, NativeState)
    user = next((user for user in state.rows.users.values() if user.username == account), None)
    if user is None:
        return
    for site in sorted(state.rows.sites.values(), key=lambda site: state.labels[site.id]):
        if site.user_id == user.id:
            yield Leftover(
                id=f"site/{state.labels[site.id]}", is_read=True,
                what=f"{account} owns the website {state.labels[site.id]} ({site.name}) personally",
                how="only its owner can move it to a team; deleting the account deletes it with its data",
            )  # fmt: skip
    for team in sorted(state.rows.teams.values(), key=lambda team: (team.name, team.id)):
        if user.id in state.owners[team.id]:
            yield Leftover(
                id=f"team/{team.name or team.id}", is_read=True, what=f"{account} owns the team {team.name}",
                how="an admin removes the member in Umami; deleting the account deletes the team for everybody in it",
            )  # fmt: skip
    yield from open_to_all(account, live, _EDITORS)
    yield Leftover(
        id="tokens", what="tokens of earlier logins have no end of their own (without Redis)",
        how="set another password, which ends them from 3.2 on; deleting the account ends them in every release",
    )  # fmt: skip
    yield Leftover(
        id="share-tokens", what="whoever opened a share link keeps a token that outlives the link, and no list shows it",
        how="only a new APP_SECRET ends such tokens; it logs everybody out",
    )  # fmt: skip
    if state.traits.version != "2.20":
        yield Leftover(
            id="board-links", what="public links to boards, and boards, links and pixels of theirs, are in no admin's list",
            how="have them handed over before; only a new APP_SECRET ends what a link has opened",
        )  # fmt: skip
        yield Leftover(
            id="api-keys", what="API keys (from 3.4 on) are shown to their owner alone",
            how="deleting the account deletes them; else have the owner delete them",
        )  # fmt: skip
    yield Leftover(
        id="reports",
        what="saved reports are in no admin's list",
        how="have them handed over before the account is deleted",
    )
