"""Reading again what a write rests on: object by object, or from a listing that is a moment old.

Before a membership is written, its site, the members of its team and its account are read once more. Where that is
asked of many, three listings of all that 3.x has (API.md section 8) are cheaper, and stand for `MOST_WRITES` writes or
`OLDEST` seconds, whichever ends first. What this run has written to, and what the listing does not have, is asked for
by itself all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from siteward.access.model import EVERYWHERE, Grant
from siteward.platforms.umami.native_state import Rows
from siteward.platforms.umami.rows import ONE_PAGE, MemberRow, Page, SiteRow, TeamRow, UserRow, ask, ask_one
from siteward.platforms.umami.session import path

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from siteward.access.change import Change
    from siteward.platforms.umami.native_state import NativeState
    from siteward.transport.http import Reader

MOST_WRITES, OLDEST = 25, 10.0
LISTINGS = 3
_WORTH = 4 * LISTINGS
T = TypeVar("T", UserRow, TeamRow, SiteRow)


def is_worth_it(changes: Collection[Change]) -> bool:
    """Tell whether reading what these changes rest on object by object costs much more than the listings do."""
    grants = [side for change in changes if isinstance(side := change.after or change.before, Grant)]
    places = {grant.scope for grant in grants if grant.scope != EVERYWHERE}
    added = sum(change.before is None and isinstance(change.after, Grant) for change in changes)
    return bool(places) and 2 * len(places) + added > _WORTH


def look_over(reader: Reader, state: NativeState, changes: Collection[Change]) -> None:
    """Read the listings anew where they are too old, and `changes`, which are to come, make that worth it.

    A listing that contradicts itself is not used. Raises `PlatformError`.
    """
    if state.old or is_fresh(reader, state) or not is_worth_it(changes):
        return
    glance = state.glance
    glance.rows = None
    taken = reader.now
    users, teams, sites = reader.map(lambda entry: _listed(reader, *entry), _KINDS)
    if users is not None and teams is not None and sites is not None:
        glance.rows = Rows(users, teams, sites)  # type: ignore[arg-type]  # each is of its own kind
        glance.taken, glance.writes = taken, 0
        glance.touched.clear()


_KINDS: Sequence[tuple[str, type]] = (("users", Page[UserRow]), ("teams", Page[TeamRow]), ("websites", Page[SiteRow]))


def _listed(reader: Reader, name: str, kind: type[Page[T]]) -> dict[str, T] | None:
    page = ask(reader, path("admin", name), kind, ONE_PAGE)
    rows = {site_row.id: site_row for site_row in page.data}
    return rows if page.count == len(page.data) == len(rows) else None


def is_fresh(reader: Reader, state: NativeState) -> bool:
    """Tell whether the listings may stand for reading again."""
    glance = state.glance
    return glance.rows is not None and glance.writes < MOST_WRITES and reader.now - glance.taken <= OLDEST


def wrote(state: NativeState, at: str, times: int = 1) -> None:
    """Note that something was written to the object of that id."""
    state.glance.touched.add(at)
    state.glance.writes += times


def _rows(reader: Reader, state: NativeState, at: str) -> Rows | None:
    """Return the listings if they may tell of the object of that id."""
    return state.glance.rows if at not in state.glance.touched and is_fresh(reader, state) else None


def user_now(reader: Reader, at: str, state: NativeState) -> UserRow | None:
    """Return an account as it is now; `None` where there is none."""
    rows = _rows(reader, state, at)
    return (rows.users.get(at) if rows else None) or ask_one(reader, path("users", at), UserRow)


def site_now(reader: Reader, at: str, state: NativeState) -> SiteRow | None:
    """Return a site as it is now; `None` where there is none."""
    rows = _rows(reader, state, at)
    return (rows.sites.get(at) if rows else None) or ask_one(reader, path("websites", at), SiteRow)


def members_now(reader: Reader, team: str, state: NativeState) -> tuple[MemberRow, ...]:
    """Return the memberships of a team as they are now, but for those of accounts that are gone."""
    rows = _rows(reader, state, team)
    found = rows.teams.get(team) if rows else None
    if rows is None or found is None:
        return members_of(reader, team)
    return tuple(member for member in found.members if member.user is not None and member.user_id in rows.users)


def members_of(reader: Reader, team: str) -> tuple[MemberRow, ...]:
    """Return the memberships of a team; those of accounts that are gone are not shown (API.md section 5)."""
    return ask(reader, path("teams", team, "users"), Page[MemberRow], ONE_PAGE).data
