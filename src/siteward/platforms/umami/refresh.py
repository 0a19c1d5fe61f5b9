"""Reads again just what some changes touch: before a write, and for the proof after it.

A few objects are asked for one by one; of more than a few, 3.x lists all in one request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from siteward.access.model import EVERYWHERE, Account, Grant, Scope, Subject, account_key, account_of
from siteward.platforms.interface import native
from siteward.platforms.umami.native_state import NativeState, Rows
from siteward.platforms.umami.read import strongest
from siteward.platforms.umami.roles import NOBODY_SPECIAL, OWNER
from siteward.platforms.umami.rows import ONE_PAGE, MemberRow, Page, SiteRow, TeamRow, UserRow, ask, ask_one
from siteward.platforms.umami.session import path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key, Resource
    from siteward.access.state import Live
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


FEW = 4


class _Sight(Struct, frozen=True):
    """What stands there now: users by the name they are known by here, sites by scope, members by team id."""

    users: Mapping[str, UserRow | None]
    sites: Mapping[Scope, SiteRow | None]
    members: Mapping[str, tuple[MemberRow, ...]]


def refresh(reader: Reader, keys: Collection[Key], live: Live) -> Mapping[Key, Resource | None]:
    """Return what stands under each of `keys` now; `None` where surely nothing does.

    A key whose site or team is not in `live` is left out, because it cannot be told. Grants stay under the name that
    `live` knows the account by, also after a rename; the account itself then stands under its new name.
    """
    state = native(live, NativeState)
    placed = {name for key in keys if _place(key) != EVERYWHERE and (name := account_of(key)) is not None}
    named = {name for key in keys if _place(key) == EVERYWHERE and (name := account_of(key)) is not None}
    users = _users(reader, named, live) | _users(reader, placed - named, live, state)
    sites = _sites(reader, {scope for key in keys if (scope := _place(key)) in live.sites}, live, state)
    teams = {site.team_id for site in sites.values() if site and site.team_id}
    teams |= {team for key in keys if (team := idle_team(key, state))}
    sight = _Sight(users, sites, _members(reader, teams, state))
    return {key: _now(key, sight, state) for key in keys if _is_told(key, sight, state)}


def find_user(reader: Reader, name: str) -> UserRow | None:
    """Return the account of exactly that login, if there is one.

    Umami's search finds parts of names and takes `%` and `_` as wildcards (API.md section 2), so it only narrows down.
    """
    narrowed = {**ONE_PAGE, "search": name} if name and "\\" not in name else ONE_PAGE
    page = ask(reader, path("admin", "users"), Page[UserRow], narrowed)
    return next((user_row for user_row in page.data if user_row.username == name), None)


def account_id(reader: Reader, name: str, live: Live) -> str | None:
    """Return the id of an account: known, or of one made in this run by a call whose answer was lost."""
    known = live.ids.get(account_key(name))
    if known is not None:
        return known
    row = find_user(reader, name)
    return row.id if row else None


def idle_team(key: Key, state: NativeState) -> str | None:
    """Return the id of the team without sites that a grant's key speaks of."""
    return state.idle.get(key[4]) if key[0] == "grant" and key[3] == "team" else None


def _users(
    reader: Reader, names: Collection[str], live: Live, state: NativeState | None = None
) -> dict[str, UserRow | None]:
    """Return the accounts of those names; with `state`, where no more is asked than whether they are there."""
    known = {name: at for name in names if (at := live.ids.get(account_key(name))) is not None}
    if state is not None and is_fresh(reader, state):
        found: dict[str, UserRow | None] = {at: user_now(reader, at, state) for at in known.values()}
    else:
        found = _ask_one_by_one(reader, "users", known.values(), UserRow, Page[UserRow])
    rows = {name: found[at] for name, at in known.items()}
    unknown = [name for name in names if name not in known]
    return rows | dict(zip(unknown, reader.map(lambda name: find_user(reader, name), unknown), strict=True))


def _sites(reader: Reader, scopes: Collection[Scope], live: Live, state: NativeState) -> dict[Scope, SiteRow | None]:
    ids = {scope: live.sites[scope].id for scope in scopes}
    if is_fresh(reader, state):
        return {scope: site_now(reader, at, state) for scope, at in ids.items()}
    found = _ask_one_by_one(reader, "websites", ids.values(), SiteRow, None if state.old else Page[SiteRow])
    return {scope: found[at] for scope, at in ids.items()}


def _members(reader: Reader, teams: Collection[str], state: NativeState) -> dict[str, tuple[MemberRow, ...]]:
    if len(teams) > FEW and not state.old:
        listed = ask(reader, path("admin", "teams"), Page[TeamRow], ONE_PAGE).data
        return {team_row.id: tuple(row for row in team_row.members if row.user) for team_row in listed}
    ordered = list(teams)
    return dict(zip(ordered, reader.map(lambda name: members_of(reader, name), ordered), strict=True))


def _ask_one_by_one(
    reader: Reader, name: str, ids: Iterable[str], kind: type[T], listing: type[Page[T]] | None
) -> dict[str, T | None]:
    """Return the objects of those ids, `None` for those that are not there; many at once where there is a `listing`."""
    wanted = list(dict.fromkeys(ids))
    if listing and len(wanted) > FEW:
        rows = {site_row.id: site_row for site_row in ask(reader, path("admin", name), listing, ONE_PAGE).data}
        return {word: rows.get(word) for word in wanted}
    return dict(zip(wanted, reader.map(lambda text: ask_one(reader, path(name, text), kind), wanted), strict=True))


def _place(key: Key) -> Scope:
    """Return the scope of a grant's key; of any other key, one that no site has."""
    return Scope(key[3], key[4]) if key[0] == "grant" else EVERYWHERE


def _is_told(key: Key, sight: _Sight, state: NativeState) -> bool:
    match key:
        case ("account", _):
            return True
        case ("grant", "account", _, "instance", ""):
            return True
        case ("grant", "account", _, "site", label):
            return Scope("site", label) in sight.sites
        case ("grant", "account", _, "team", label):
            return label in state.idle
        case _:
            return False


def _now(key: Key, sight: _Sight, state: NativeState) -> Resource | None:
    name = account_of(key)
    user = sight.users.get(name or "")
    if user is None or name is None:
        return None
    if key[0] == "account":
        return Account(name) if user.username == name else None
    scope = Scope(key[3], key[4])
    role = _role(user, scope, sight, state)
    return Grant(Subject("account", name), scope, role) if role else None


def _role(user: UserRow, scope: Scope, sight: _Sight, state: NativeState) -> str | None:
    if scope == EVERYWHERE:
        return None if user.role == NOBODY_SPECIAL else user.role
    site = sight.sites.get(scope)
    if site and site.user_id == user.id:
        return OWNER
    team = state.idle.get(scope.name) if scope.kind == "team" else site and site.team_id
    rows = [member for member in sight.members.get(team or "", ()) if member.user_id == user.id]
    return strongest(rows) if rows else None
