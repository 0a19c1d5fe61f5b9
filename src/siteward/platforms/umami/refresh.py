"""Reads again only what some changes touch: before a write, and for the read-back after it.

A few objects are asked for one by one; of more than a few, 3.x lists all in one request. While many changes are written,
listings are kept in `NativeState.cache` and stand for reading each object again, as long as they are fresh and this run
has not written to the object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from siteward.access.model import EVERYWHERE, Account, Grant, Scope, Subject, account_key, account_of
from siteward.platforms.interface import native
from siteward.platforms.umami.native_state import NativeState, Rows
from siteward.platforms.umami.read import ROUNDS, strongest
from siteward.platforms.umami.roles import NOBODY_SPECIAL, OWNER
from siteward.platforms.umami.rows import (
    ONE_PAGE,
    ListedMemberRow,
    MemberRow,
    Page,
    SiteRow,
    TeamRow,
    UserRow,
    ask,
    ask_one,
)
from siteward.platforms.umami.session import path
from siteward.transport.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key, Resource
    from siteward.access.state import Live
    from siteward.transport.http import Reader


T = TypeVar("T", UserRow, TeamRow, SiteRow)
Row = TypeVar("Row", UserRow, TeamRow, SiteRow, ListedMemberRow)

MOST_WRITES, OLDEST = 25, 10.0
"""After how many writes, and how many seconds, the cached listings are too old to stand for reading again."""
LISTINGS = 3
"""How many requests the listings take: users, teams and sites."""
FEW = 4
"""Up to how many objects of one kind are asked for one by one; a listing costs the server more than one object does."""
# Filling the cache has to save several times what it costs, because reading one by one is never out of date.
_WORTH = 4 * LISTINGS


# --- the cached listings ----------------------------------------------------------------------------------------------


def is_worth_it(changes: Iterable[Change]) -> bool:
    """Return whether reading object by object, before `changes` are written, costs much more than the listings do.

    It looks at no more of them than it takes to know.
    """
    scopes: set[Scope] = set()
    added = 0
    for change in changes:
        side = change.after or change.before
        if isinstance(side, Grant):
            added += change.before is None
            if side.scope != EVERYWHERE:
                scopes.add(side.scope)
        if scopes and 2 * len(scopes) + added > _WORTH:
            return True
    return False


def fill_cache(reader: Reader, state: NativeState, changes: Iterable[Change]) -> None:
    """Read the listings into the cache if it is not fresh and `changes`, which are to be written, make that worth it.

    A listing that contradicts itself is not used. Raises `PlatformError`.
    """
    if state.old or is_fresh(reader, state) or not is_worth_it(changes):
        return
    cache = state.cache
    cache.rows = None
    taken = reader.now
    users, teams, sites = reader.map(lambda listing: _read_listing(reader, *listing), _KINDS)
    if users is not None and teams is not None and sites is not None:
        cache.rows = Rows(users, teams, sites)  # type: ignore[arg-type]  # each is of its own kind
        cache.taken, cache.writes = taken, 0
        cache.touched.clear()


_KINDS: Sequence[tuple[str, type]] = (("users", Page[UserRow]), ("teams", Page[TeamRow]), ("websites", Page[SiteRow]))


def _read_listing(reader: Reader, name: str, kind: type[Page[T]]) -> dict[str, T] | None:
    """Return all rows of a listing by id, or `None` if they are not as many as it counts."""
    page = ask(reader, path("admin", name), kind, ONE_PAGE)
    rows = {row.id: row for row in page.data}
    return rows if page.count == len(page.data) == len(rows) else None


def is_fresh(reader: Reader, state: NativeState) -> bool:
    """Return whether the cached listings may stand for reading again."""
    cache = state.cache
    return cache.rows is not None and cache.writes < MOST_WRITES and reader.now - cache.taken <= OLDEST


def note_writes(state: NativeState, object_id: str, times: int = 1) -> None:
    """Record that this run has written to the object of that id, so that it is not taken from the cache."""
    state.cache.touched.add(object_id)
    state.cache.writes += times


def _cached_rows(reader: Reader, state: NativeState, object_id: str) -> Rows | None:
    """Return the cached listings, or `None` if they may be out of date for the object of that id."""
    return state.cache.rows if object_id not in state.cache.touched and is_fresh(reader, state) else None


# --- single objects ---------------------------------------------------------------------------------------------------


def user_now(reader: Reader, user_id: str, state: NativeState) -> UserRow | None:
    """Return the account of that id as it is now, or `None` if there is none. Raises `PlatformError`."""
    cached = _cached_rows(reader, state, user_id)
    return (cached.users.get(user_id) if cached else None) or ask_one(reader, path("users", user_id), UserRow)


def site_now(reader: Reader, site_id: str, state: NativeState) -> SiteRow | None:
    """Return the site of that id as it is now, or `None` if there is none. Raises `PlatformError`."""
    cached = _cached_rows(reader, state, site_id)
    return (cached.sites.get(site_id) if cached else None) or ask_one(reader, path("websites", site_id), SiteRow)


def members_now(reader: Reader, team: str, state: NativeState) -> tuple[MemberRow, ...]:
    """Return the memberships of a team as they are now, without those of accounts that are gone.

    Raises `PlatformError`.
    """
    cached = _cached_rows(reader, state, team)
    team_row = cached.teams.get(team) if cached else None
    if cached is None or team_row is None:
        return members_of(reader, team)
    return tuple(member for member in team_row.members if member.user is not None and member.user_id in cached.users)


def ask_whole(
    reader: Reader, path: str, kind: type[Page[Row]], query: Mapping[str, str | int] = ONE_PAGE
) -> tuple[Row, ...]:
    """Ask for all rows of a listing; as many different ones as it counts, else it is asked for again.

    Raises `IncompleteError` if it does not add up in any round: what is not shown is not known to be gone.
    """
    for _ in range(ROUNDS):
        page = ask(reader, path, kind, query)
        if page.count == len(page.data) == len({row.id for row in page.data}):
            return page.data
    raise IncompleteError(
        f"{path} did not show as many rows as it counts, {ROUNDS} times over",
        hint="somebody may be changing users, teams or sites right now; try again",
    )


def members_of(reader: Reader, team: str) -> tuple[MemberRow, ...]:
    """Ask for the memberships of a team; those of accounts that are gone are not shown (API.md section 5)."""
    return ask_whole(reader, path("teams", team, "users"), Page[ListedMemberRow])


def find_user(reader: Reader, name: str) -> UserRow | None:
    """Ask for the account of exactly that login; `None` if there is none.

    Umami's search finds parts of names and takes `%` and `_` as wildcards (API.md section 2), so it only narrows down.
    """
    # A backslash escapes the wildcards of the search, so a login with one is looked for in the whole list.
    narrowed = {**ONE_PAGE, "search": name} if name and "\\" not in name else ONE_PAGE
    users = ask_whole(reader, path("admin", "users"), Page[UserRow], narrowed)
    return next((user for user in users if user.username == name), None)


def account_id(reader: Reader, name: str, live: Live) -> str | None:
    """Return the id of an account: from `live`, else by its login, if it was made in this run and the answer was lost."""
    known = live.ids.get(account_key(name))
    if known is not None:
        return known
    user = find_user(reader, name)
    return user.id if user else None


def idle_team(key: Key, state: NativeState) -> str | None:
    """Return the id of the team without sites that a grant's key is about, or `None` for any other key."""
    return state.idle.get(key[4]) if key[0] == "grant" and key[3] == "team" else None


# --- refresh ----------------------------------------------------------------------------------------------------------


class _Current(Struct, frozen=True):
    """The rows as they are now: users by the name in `live`, sites by scope, memberships by team id."""

    users: Mapping[str, UserRow | None]
    sites: Mapping[Scope, SiteRow | None]
    members: Mapping[str, tuple[MemberRow, ...]]


def refresh(reader: Reader, keys: Collection[Key], live: Live) -> Mapping[Key, Resource | None]:
    """Return the resource of each of `keys` as it is now; `None` where there surely is none.

    Left out are keys whose site or team is not in `live`, because they cannot be read. Grants stay under the name that
    `live` knows the account by, also after a rename; the account itself then stands under its new name. Raises
    `PlatformError`.
    """
    state = native(live, NativeState)
    placed = {name for key in keys if _scope_in(key) != EVERYWHERE and (name := account_of(key)) is not None}
    named = {name for key in keys if _scope_in(key) == EVERYWHERE and (name := account_of(key)) is not None}
    users = _read_users(reader, named, live) | _read_users(reader, placed - named, live, state)
    sites = _read_sites(reader, {scope for key in keys if (scope := _scope_in(key)) in live.sites}, live, state)
    teams = {site.team_id for site in sites.values() if site and site.team_id}
    teams |= {team for key in keys if (team := idle_team(key, state))}
    current = _Current(users, sites, _read_members(reader, teams, state))
    return {key: _find_resource(key, current, state) for key in keys if _was_read(key, current, state)}


def _read_users(
    reader: Reader, names: Collection[str], live: Live, state: NativeState | None = None
) -> dict[str, UserRow | None]:
    """Return the accounts of those names.

    With `state` they may come from the cache: enough for grants on sites, which need only that the account exists.
    """
    known = {name: user_id for name in names if (user_id := live.ids.get(account_key(name))) is not None}
    if state is not None and is_fresh(reader, state):
        found: dict[str, UserRow | None] = {user_id: user_now(reader, user_id, state) for user_id in known.values()}
    else:
        found = _read_objects(reader, "users", known.values(), UserRow, Page[UserRow])
    users = {name: found[user_id] for name, user_id in known.items()}
    unknown = [name for name in names if name not in known]
    return users | dict(zip(unknown, reader.map(lambda name: find_user(reader, name), unknown), strict=True))


def _read_sites(
    reader: Reader, scopes: Collection[Scope], live: Live, state: NativeState
) -> dict[Scope, SiteRow | None]:
    ids = {scope: live.sites[scope].id for scope in scopes}
    if is_fresh(reader, state):
        return {scope: site_now(reader, site_id, state) for scope, site_id in ids.items()}
    found = _read_objects(reader, "websites", ids.values(), SiteRow, None if state.old else Page[SiteRow])
    return {scope: found[site_id] for scope, site_id in ids.items()}


def _read_members(reader: Reader, teams: Collection[str], state: NativeState) -> dict[str, tuple[MemberRow, ...]]:
    if len(teams) > FEW and not state.old:
        listed = ask_whole(reader, path("admin", "teams"), Page[TeamRow])
        return {team.id: tuple(member for member in team.members if member.user) for team in listed}
    ordered = list(teams)
    return dict(zip(ordered, reader.map(lambda team: members_of(reader, team), ordered), strict=True))


def _read_objects(
    reader: Reader, name: str, ids: Iterable[str], kind: type[T], listing: type[Page[T]] | None
) -> dict[str, T | None]:
    """Return the objects of those ids, `None` for each that is not there.

    `name` is the part of the path that says the kind. More than a few come from the `listing`, where there is one.
    """
    wanted = list(dict.fromkeys(ids))
    if listing and len(wanted) > FEW:
        rows = {row.id: row for row in ask_whole(reader, path("admin", name), listing)}
        return {object_id: rows.get(object_id) for object_id in wanted}
    return dict(
        zip(wanted, reader.map(lambda object_id: ask_one(reader, path(name, object_id), kind), wanted), strict=True)
    )


def _scope_in(key: Key) -> Scope:
    """Return the scope of a grant's key; `EVERYWHERE`, which is no site's, for any other key."""
    return Scope(key[3], key[4]) if key[0] == "grant" else EVERYWHERE


def _was_read(key: Key, current: _Current, state: NativeState) -> bool:
    """Return whether `current` has what decides about a key."""
    match key:
        case ("account", _):
            return True
        case ("grant", "account", _, "instance", ""):
            return True
        case ("grant", "account", _, "site", label):
            return Scope("site", label) in current.sites
        case ("grant", "account", _, "team", label):
            return label in state.idle
        case _:
            return False


def _find_resource(key: Key, current: _Current, state: NativeState) -> Resource | None:
    """Return the account or grant of a key, or `None` if there is none."""
    name = account_of(key)
    user = current.users.get(name or "")
    if user is None or name is None:
        return None
    if key[0] == "account":
        return Account(name) if user.username == name else None
    scope = Scope(key[3], key[4])
    role = _role_of(user, scope, current, state)
    return Grant(Subject("account", name), scope, role) if role else None


def _role_of(user: UserRow, scope: Scope, current: _Current, state: NativeState) -> str | None:
    """Return the neutral role of an account on a scope: as owner, by its team, or on the instance."""
    if scope == EVERYWHERE:
        return None if user.role == NOBODY_SPECIAL else user.role
    site = current.sites.get(scope)
    if site and site.user_id == user.id:
        return OWNER
    team = state.idle.get(scope.name) if scope.kind == "team" else site and site.team_id
    memberships = [member for member in current.members.get(team or "", ()) if member.user_id == user.id]
    return strongest(memberships) if memberships else None
