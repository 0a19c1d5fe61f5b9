"""Bundles of changes, and the writing of changes to accounts; memberships are written in `teams`."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from siteward.access.model import EVERYWHERE, Account, Grant, account_key, account_of, scope_of
from siteward.platforms.confirm import DONE, Verdict, failed
from siteward.platforms.interface import Bundle, native
from siteward.platforms.umami.native_state import NativeState
from siteward.platforms.umami.refresh import account_id, find_user, note_writes
from siteward.platforms.umami.review import is_closing, team_of
from siteward.platforms.umami.roles import NOBODY_SPECIAL, TEAM_OWNER
from siteward.platforms.umami.rows import ONE_PAGE, Deleted, Page, SiteRow, TeamRow, UserRow, ask, ask_one, parse
from siteward.platforms.umami.session import command, path
from siteward.platforms.umami.teams import finish_closing, write_memberships
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live
    from siteward.platforms.interface import Receipt
    from siteward.transport.http import Writer
    from siteward.transport.secrets import Secret


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
    return tuple(Bundle(changes=tuple(group)) for group in groups.values())


def _group_key(change: Change, live: Live, state: NativeState, made: set[str]) -> Hashable:
    """Return an equal value for changes that go together; `made` are the names of the accounts to be created."""
    side = change.after or change.before
    if isinstance(side, Grant) and side.scope != EVERYWHERE:
        closing = is_closing(change, state)
        return closing, team_of(side.scope, live, state) or side.scope
    name = account_of(change.key)
    return ("new", name) if name in made else change.key


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
