"""Bundles of changes and their cost, and the writing of changes to accounts; memberships are written in `teams`."""

from __future__ import annotations

import uuid
from itertools import chain, islice
from typing import TYPE_CHECKING

from siteward.access.model import EVERYWHERE, Account, Grant, Scope, account_key, account_of, scope_of
from siteward.platforms.confirm import DONE, Verdict, failed
from siteward.platforms.interface import Bundle, native
from siteward.platforms.umami.native_state import NativeState, left_over, others_in
from siteward.platforms.umami.refresh import FEW, LISTINGS, MOST_WRITES, account_id, find_user, is_worth_it, note_writes
from siteward.platforms.umami.review import is_closing, team_of
from siteward.platforms.umami.roles import NOBODY_SPECIAL, TEAM_OWNER
from siteward.platforms.umami.rows import ONE_PAGE, Deleted, Page, SiteRow, TeamRow, UserRow, ask, ask_one, parse
from siteward.platforms.umami.session import command, path
from siteward.platforms.umami.teams import finish_closing, write_memberships
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live
    from siteward.platforms.interface import Receipt
    from siteward.transport.http import Writer
    from siteward.transport.secrets import Secret


# Hashing a password with bcrypt holds up the whole server for this long (API.md section 8).
_SECONDS_TO_HASH = 0.1

SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 72
"""In bytes: 3.1 and later take no shorter one, and bcrypt looks at no more (API.md section 4)."""

# The status for a login that is taken. It must not be read back: an account of that name is there, but it is another's
# (API.md section 11).
_TAKEN = frozenset({400})


# --- bundles ----------------------------------------------------------------------------------------------------------


def bundle(changes: Sequence[Change], live: Live) -> Sequence[Bundle]:
    """Return the changes grouped by the calls that carry them, in the order in which each group begins.

    A new account goes with its role; memberships go by team, openings and closings apart; other changes go alone.
    """
    state = native(live, NativeState)
    made = {change.key[1] for change in changes if isinstance(change.after, Account) and change.before is None}
    groups: dict[Hashable, list[Change]] = {}
    for change in changes:
        groups.setdefault(_group_key(change, live, state, made), []).append(change)
    forecast = _Forecast(live, state, list(groups.values()))
    return tuple(
        Bundle(
            changes=tuple(group),
            requests=forecast.count_requests(number),
            seconds=sum(
                _SECONDS_TO_HASH for change in group if isinstance(change.after, Account) and not change.before
            ),
        )
        for number, group in enumerate(groups.values())
    )


def _group_key(change: Change, live: Live, state: NativeState, made: set[str]) -> Hashable:
    """Return an equal value for changes that go together; `made` are the names of the accounts to be created."""
    side = change.after or change.before
    if isinstance(side, Grant) and side.scope != EVERYWHERE:
        closing = is_closing(change, state)
        return closing, team_of(side.scope, live, state) or side.scope
    name = account_of(change.key)
    return ("new", name) if name in made else change.key


class _Forecast:
    """A forecast of the requests of each group, if the groups are written and read back in order and nothing fails.

    It follows the calls of `teams`, `write` and `refresh`: `_age` is the age of the cached listings in writes (`None` while
    there are none), and `_written` are the teams written to since, which are read by themselves.
    """

    def __init__(self, live: Live, state: NativeState, groups: Sequence[Sequence[Change]]) -> None:
        self._live = live
        self._state = state
        self._groups = groups
        self._age: int | None = None
        self._written: set[Hashable] = set()

    def count_requests(self, number: int) -> int:
        """Return the number of requests of the group at that index; to be called once for each group, in order."""
        group = self._groups[number]
        first = group[0].after or group[0].before
        if not isinstance(first, Grant) or first.scope == EVERYWHERE:
            # Before a deletion the account, its teams and its sites are read; every change is read back by one request.
            deletes = isinstance(first, Account) and group[0].after is None
            return (5 if deletes else 2) + _count_renames(group[0])
        ahead = (change for later in range(number + 1, len(self._groups)) for change in self._groups[later])
        return self._count_memberships(group, ahead, first.scope)

    def _count_memberships(self, group: Sequence[Change], ahead: Iterable[Change], scope: Scope) -> int:
        """Return the requests of a group of memberships on `scope`; `ahead` are the changes of later groups."""
        team, closing = team_of(scope, self._live, self._state), is_closing(group[0], self._state)
        sent = self._fill_cache(chain(group, ahead))
        of_site = scope.kind != "team"
        sent += of_site and not self._is_fresh()
        sent += 0 if team or closing else self._count_placing(scope)
        for begin in range(0, len(group), MOST_WRITES):
            sent += self._fill_cache(islice(group, begin, None)) if begin else 0
            sent += not self._is_fresh() or begin > 0 or (team or scope) in self._written or team is None
            sent += sum(self._count_membership(change) for change in group[begin : begin + MOST_WRITES])
            self._note_writes(len(group[begin : begin + MOST_WRITES]))
        self._written.add(team or scope)
        sent += 2 if closing else 0
        self._note_writes(2 if closing else 0)
        return sent + self._count_read_back(group, of_site=of_site)

    def _fill_cache(self, changes: Iterable[Change]) -> int:
        """Return the requests for filling the cache as `refresh.fill_cache` would."""
        if self._state.old or self._is_fresh() or not is_worth_it(changes):
            return 0
        self._age = 0
        self._written.clear()
        return LISTINGS

    def _is_fresh(self) -> bool:
        return self._age is not None and self._age < MOST_WRITES

    def _note_writes(self, times: int) -> None:
        self._age = None if self._age is None else self._age + times

    def _count_placing(self, scope: Scope) -> int:
        """Return the number of requests to find or make a team for a site, and to move the site into it."""
        left = left_over(scope.name, self._state)
        if left is None:
            return 2
        others = len(others_in(left, self._state))
        return 3 + (others + 2 if others else 0)

    def _count_membership(self, change: Change) -> int:
        """Return the number of requests of one membership; before an account is added, it is read."""
        return 1 + (change.before is None and not self._is_fresh())

    def _count_read_back(self, group: Sequence[Change], *, of_site: bool) -> int:
        """Return the number of requests of the read-back: the accounts, their sites, the team's members."""
        names = {account_of(change.key) for change in group}
        sites = {side.scope for change in group if isinstance(side := change.after or change.before, Grant)}
        if self._is_fresh():
            return 1
        return _count_objects(len(names)) + (_count_objects(len(sites)) if of_site else 0) + 1


def _count_objects(count: int) -> int:
    """Return the number of requests in which so many objects are read: one by one, or all in a listing."""
    return count if count <= FEW else 1


def _count_renames(change: Change) -> int:
    """Return the number of names that are looked for besides when a rename is read back."""
    return isinstance(change.after, Account) and change.after.renamed is not None


# --- writing ----------------------------------------------------------------------------------------------------------


def write(writer: Writer, bundle: Bundle, live: Live) -> Sequence[Receipt]:
    """Make the changes of one bundle and return their receipts.

    `live` is the state as it was read at the beginning, with the ids of accounts made since. The facts that a write rests
    on (the owner of a site, the members of a team, the sites and teams of an account to be deleted) are read again just
    before. Bundles must not be written at the same time: parallel additions leave duplicate memberships (API.md section 5).
    """
    first = bundle.changes[0].after or bundle.changes[0].before
    if isinstance(first, Grant) and first.scope != EVERYWHERE:
        return write_memberships(writer, bundle.changes, live, bundle.ahead(None))
    made = next(
        (change for change in bundle.changes if isinstance(change.after, Account) and change.before is None), None
    )
    if made is not None:
        return _create(writer, bundle, made, native(live, NativeState))
    return [_change_account(writer, change, live) for change in bundle.changes]


def finish(writer: Writer, bundle: Bundle, live: Live) -> Receipt:
    """Set a new access code for the team after a closing that has taken effect; other changes have no side effects."""
    (change,) = bundle.changes
    scope = scope_of(change.key)
    closing = scope is not None and scope != EVERYWHERE and is_closing(change, native(live, NativeState))
    verdict = finish_closing(writer, scope, live) if scope is not None and closing else DONE
    return verdict.receipt(change.key)


def _create(writer: Writer, bundle: Bundle, made: Change, state: NativeState) -> list[Receipt]:
    """Make an account with its role.

    The id is chosen here, so that reading can distinguish the new account from another of the same name.
    """
    name, user_id = made.key[1], str(uuid.uuid4())
    role = next((change.after.role for change in bundle.changes if isinstance(change.after, Grant)), NOBODY_SPECIAL)
    password = bundle.passwords.get(name)
    if password is None:
        verdict = failed("no password was made for it")
    elif not SHORTEST_PASSWORD <= len(password.reveal().encode()) <= LONGEST_PASSWORD:
        verdict = failed(f"its password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} bytes")
    else:
        verdict, user_id = _make_account(writer, UserRow(user_id, name, role), password, state)
    ids = {account_key(name): user_id} if verdict.status == "sent" else {}
    return [verdict.receipt(change.key, ids) for change in bundle.changes]


def _make_account(writer: Writer, wanted: UserRow, password: Secret, state: NativeState) -> tuple[Verdict, str]:
    """Make an account, compare it with what was asked for, and return the outcome and its id."""
    read_back: list[UserRow | None] = []

    def is_made() -> bool:
        read_back.append(_find_made(writer, wanted, state))
        return read_back[-1] is not None

    body = {"id": wanted.id, "username": wanted.username, "password": password.reveal(), "role": wanted.role}
    verdict = command(writer, "POST", path("users"), body, UserRow, is_made, repeatable=True, no=_TAKEN)
    if verdict.status != "sent":
        return verdict, wanted.id
    user = parse(UserRow, verdict.answer) if verdict.answer else read_back[-1]
    if user is None or (user.username, user.role) != (wanted.username, wanted.role):
        return failed(f"Umami made {wanted.username} otherwise than it was told"), wanted.id
    return verdict, user.id


def _find_made(writer: Writer, wanted: UserRow, state: NativeState) -> UserRow | None:
    """Return the account that was made, or `None`; by its login in 2.20, which is not known to take our id."""
    return find_user(writer, wanted.username) if state.old else ask_one(writer, path("users", wanted.id), UserRow)


def _change_account(writer: Writer, change: Change, live: Live) -> Receipt:
    """Make one change to an account that exists: its login, its role, or its deletion."""
    state, name = native(live, NativeState), change.key[2] if change.key[0] == "grant" else change.key[1]
    try:
        user_id = account_id(writer, name, live)
        if user_id is None:
            return failed(f"the account {name} is not known on the instance", "plan again").receipt(change.key)
        if user_id == state.me:
            return failed("Siteward never changes the account it works with").receipt(change.key)
        note_writes(state, user_id)
        if isinstance(change.after, Account):
            new = change.after.renamed or name
            return _update_account(writer, user_id, state, username=new).receipt(
                change.key, {account_key(new): user_id}
            )
        if isinstance(change.before, Account):
            return _delete_account(writer, user_id, name).receipt(change.key)
        role = change.after.role if isinstance(change.after, Grant) else NOBODY_SPECIAL
        return _update_account(writer, user_id, state, role=role).receipt(change.key)
    except PlatformError as problem:
        return failed(f"nothing was sent: {problem}", problem.hint).receipt(change.key)


def _update_account(writer: Writer, user_id: str, state: NativeState, **wanted: str) -> Verdict:
    """Set a login or a role, and compare the answer: Umami says yes to what it does not let one set (API.md section 4)."""

    def read_account() -> UserRow | None:
        return ask_one(writer, path("users", user_id), UserRow)

    body = wanted
    if state.old:  # 2.20 requires the login with every change (API.md section 9)
        before = read_account()
        body = {"username": before.username, **wanted} if before else wanted
    verdict = command(
        writer, "POST", path("users", user_id), body, UserRow, lambda: _has_values(read_account(), wanted),
        repeatable=True,
    )  # fmt: skip
    if verdict.answer and not _has_values(parse(UserRow, verdict.answer), wanted):
        return failed("Umami said yes and changed nothing", "does Siteward's account still have the role admin?")
    return verdict


def _has_values(user: UserRow | None, wanted: dict[str, str]) -> bool:
    return user is not None and all(getattr(user, name) == value for name, value in wanted.items())


def _delete_account(writer: Writer, user_id: str, name: str) -> Verdict:
    """Delete an account, unless it owns a team or site now, which Umami would delete too (MAPPING.md hazards 1 and 3)."""
    teams = ask(writer, path("users", user_id, "teams"), Page[TeamRow], ONE_PAGE)
    sites = ask(writer, path("users", user_id, "websites"), Page[SiteRow], ONE_PAGE)
    lost = [f"team {team.name}" for team in teams.data if _owns(team, user_id)]
    lost += [f"site {site.domain or site.name}" for site in sites.data if site.user_id == user_id]
    if lost or teams.count != len(teams.data) or sites.count != len(sites.data):
        return failed(f"not deleted: {', '.join(lost) or 'what it owns is not known'} would go with it")
    verdict = command(
        writer, "DELETE", path("users", user_id), None, Deleted, lambda: find_user(writer, name) is None,
        repeatable=True,
    )  # fmt: skip
    if verdict.status == "failed":
        return failed(f"{verdict.message}; does it own sites with segments, revenue or replays?", verdict.hint)
    return verdict


def _owns(team: TeamRow, user_id: str) -> bool:
    return any(member.user_id == user_id and member.role == TEAM_OWNER for member in team.members)
