"""A bundle of changes, as Umami's own calls: accounts here, memberships in `teams`."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from siteward.access.model import EVERYWHERE, Account, Grant, account_key, scope_of
from siteward.platforms.confirm import DONE, Verdict, failed
from siteward.platforms.interface import native
from siteward.platforms.umami.glance import wrote
from siteward.platforms.umami.native_state import NativeState
from siteward.platforms.umami.refresh import account_id, find_user
from siteward.platforms.umami.review import is_closing
from siteward.platforms.umami.roles import NOBODY_SPECIAL, TEAM_OWNER
from siteward.platforms.umami.rows import ONE_PAGE, Deleted, Page, SiteRow, TeamRow, UserRow, ask, ask_one, parse
from siteward.platforms.umami.session import command, path
from siteward.platforms.umami.teams import finish_closing, write_memberships
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle, Receipt
    from siteward.transport.http import Writer
    from siteward.transport.secrets import Secret

SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 72
"""In bytes: 3.1 and later take no shorter one, and bcrypt looks at no more (API.md section 4)."""

# That the login is taken: an account of that name may well stand there, but it is another's (API.md section 11).
_TAKEN = frozenset({400})


def write(writer: Writer, bundle: Bundle, live: Live) -> Sequence[Receipt]:
    """Make the changes of one bundle and tell what became of each.

    `live` is what was read at the beginning, with the ids of accounts made since. What a write would rest on (who
    owns a site, who is in a team, what goes with an account) is read again just before. Bundles must not be written
    at the same time: parallel additions leave duplicate memberships (API.md section 5).
    """
    first = bundle.changes[0].after or bundle.changes[0].before
    if isinstance(first, Grant) and first.scope != EVERYWHERE:
        return write_memberships(writer, bundle.changes, live, bundle.ahead)
    made = next(
        (change for change in bundle.changes if isinstance(change.after, Account) and change.before is None), None
    )
    if made is not None:
        return _create(writer, bundle, made, native(live, NativeState))
    return [_change(writer, change, live) for change in bundle.changes]


def finish(writer: Writer, bundle: Bundle, live: Live) -> Receipt:
    """Set a team's access code anew after a closing that stands; nothing else has anything in its train."""
    (change,) = bundle.changes
    scope = scope_of(change.key)
    closing = scope is not None and scope != EVERYWHERE and is_closing(change, native(live, NativeState))
    verdict = finish_closing(writer, scope, live) if scope is not None and closing else DONE
    return verdict.receipt(change.key)


def _create(writer: Writer, bundle: Bundle, made: Change, state: NativeState) -> list[Receipt]:
    """Make an account with its role. The id is ours, so that reading can tell our account from another's."""
    name, at = made.key[1], str(uuid.uuid4())
    role = next((change.after.role for change in bundle.changes if isinstance(change.after, Grant)), NOBODY_SPECIAL)
    password = bundle.passwords.get(name)
    if password is None:
        verdict = failed("no password was made for it")
    elif not SHORTEST_PASSWORD <= len(password.reveal().encode()) <= LONGEST_PASSWORD:
        verdict = failed(f"its password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} bytes")
    else:
        verdict, at = _make(writer, UserRow(at, name, role), password, state)
    ids = {account_key(name): at} if verdict.status == "sent" else {}
    return [verdict.receipt(change.key, ids) for change in bundle.changes]


def _make(writer: Writer, wanted: UserRow, password: Secret, state: NativeState) -> tuple[Verdict, str]:
    """Make an account, compare it with what was asked for, and return its id."""
    found: list[UserRow | None] = []

    def is_made() -> bool:
        found.append(_ours(writer, wanted, state))
        return found[-1] is not None

    body = {"id": wanted.id, "username": wanted.username, "password": password.reveal(), "role": wanted.role}
    verdict = command(writer, "POST", path("users"), body, UserRow, is_made, no=_TAKEN)
    if verdict.status != "sent":
        return verdict, wanted.id
    row = parse(UserRow, verdict.answer) if verdict.answer else found[-1]
    if row is None or (row.username, row.role) != (wanted.username, wanted.role):
        return failed(f"Umami made {wanted.username} otherwise than it was told"), wanted.id
    return verdict, row.id


def _ours(writer: Writer, wanted: UserRow, state: NativeState) -> UserRow | None:
    """Return the account that we made, if it is there; that 2.20 takes an id from us is not recorded."""
    return find_user(writer, wanted.username) if state.old else ask_one(writer, path("users", wanted.id), UserRow)


def _change(writer: Writer, change: Change, live: Live) -> Receipt:
    """Make one change to an account that exists."""
    state, name = native(live, NativeState), change.key[2] if change.key[0] == "grant" else change.key[1]
    try:
        at = account_id(writer, name, live)
        if at is None:
            return failed(f"the account {name} is not known on the instance", "plan again").receipt(change.key)
        if at == state.me:
            return failed("Siteward never changes the account it works with").receipt(change.key)
        wrote(state, at)
        if isinstance(change.after, Account):
            new = change.after.renamed or name
            return _update(writer, at, state, username=new).receipt(change.key, {account_key(new): at})
        if isinstance(change.before, Account):
            return _delete(writer, at, name).receipt(change.key)
        role = change.after.role if isinstance(change.after, Grant) else NOBODY_SPECIAL
        return _update(writer, at, state, role=role).receipt(change.key)
    except PlatformError as problem:
        return failed(f"nothing was sent: {problem}", problem.hint).receipt(change.key)


def _update(writer: Writer, at: str, state: NativeState, **wanted: str) -> Verdict:
    """Set a login or a role, and believe only what is echoed: Umami ignores what one may not set (API.md section 4)."""

    def row() -> UserRow | None:
        return ask_one(writer, path("users", at), UserRow)

    body = wanted
    if state.old:  # which wants the login with every change (API.md section 9)
        before = row()
        body = {"username": before.username, **wanted} if before else wanted
    verdict = command(writer, "POST", path("users", at), body, UserRow, lambda: _has(row(), wanted))
    if verdict.answer and not _has(parse(UserRow, verdict.answer), wanted):
        return failed("Umami said yes and changed nothing", "does Siteward's account still have the role admin?")
    return verdict


def _has(row: UserRow | None, wanted: dict[str, str]) -> bool:
    return row is not None and all(getattr(row, name) == value for name, value in wanted.items())


def _delete(writer: Writer, at: str, name: str) -> Verdict:
    """Delete an account that owns nothing, as it was read a moment ago (MAPPING.md hazards 1 and 3)."""
    teams = ask(writer, path("users", at, "teams"), Page[TeamRow], ONE_PAGE)
    sites = ask(writer, path("users", at, "websites"), Page[SiteRow], ONE_PAGE)
    lost = [f"team {team_row.name}" for team_row in teams.data if _owns(team_row, at)]
    lost += [f"site {site_row.domain or site_row.name}" for site_row in sites.data if site_row.user_id == at]
    if lost or teams.count != len(teams.data) or sites.count != len(sites.data):
        return failed(f"not deleted: {', '.join(lost) or 'what it owns is not known'} would go with it")
    verdict = command(writer, "DELETE", path("users", at), None, Deleted, lambda: find_user(writer, name) is None)
    if verdict.status == "failed":
        return failed(f"{verdict.message}; does it own sites with segments, revenue or replays?", verdict.hint)
    return verdict


def _owns(team: TeamRow, at: str) -> bool:
    return any(member.user_id == at and member.role == TEAM_OWNER for member in team.members)
