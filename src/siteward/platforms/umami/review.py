"""What Umami cannot do, and everything it will do besides: MAPPING.md sections 4 and 5.

Each function looks at one change for one kind of thing and yields what it has to say; none of them asks the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import Diagnostic, Effect, Severity, diagnostic, error, note
from siteward.access.model import EVERYWHERE, Account, Grant, Scope, Subject, account_key, account_of
from siteward.platforms.interface import native
from siteward.platforms.umami.findings import clashes
from siteward.platforms.umami.native_state import (
    NativeState,
    is_foreign,
    left_over,
    others_in,
    owners,
    people,
    team_name,
)
from siteward.platforms.umami.roles import BOARD_LINKS, NOBODY_SPECIAL, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live, Memory
    from siteward.platforms.umami.rows import SiteRow, UserRow

LONGEST_LOGIN = 255
_BY_HAND = (
    "three ways, all by hand: its owner moves it; an admin makes the owner manager of team {team}, sets a password, "
    "logs in as the owner and moves it (the old password is lost); or one SQL update of website.user_id and team_id"
)


class _Room(Struct, frozen=True):
    """What the reviewing functions share; `roles` maps account and site to the role a change leads to, if one does."""

    live: Live
    state: NativeState
    clashing: Mapping[str, tuple[str, ...]]
    roles: Mapping[tuple[str, Scope], str | None]

    def user(self, change: Change) -> UserRow | None:
        """Return the live account that a change is about."""
        at = self.live.ids.get(account_key(account_of(change.key) or ""))
        return self.state.rows.users.get(at or "")

    def site(self, scope: Scope) -> SiteRow | None:
        """Return the live site of a scope."""
        return self.state.rows.sites.get(self.live.sites[scope].id) if scope in self.live.sites else None


def review(changes: Sequence[Change], live: Live, memory: Memory | None = None) -> Iterable[Diagnostic]:
    """Yield what stands against each change (errors), and what comes with it (notes)."""
    state = native(live, NativeState)
    roles = {
        (account_of(item.key) or "", side.scope): item.after.role if isinstance(item.after, Grant) else None
        for item in changes
        if isinstance(side := item.after or item.before, Grant)
    }
    room = _Room(live, state, clashes(state), roles)
    yield from _boards(changes, room, memory)
    for change in changes:
        for say in _ON_ALL:
            yield from say(change, room)
        side = change.after or change.before
        if isinstance(side, Account):
            yield from _deletion(change, room) if change.after is None else _login(change, room)
        elif isinstance(side, Grant) and side.scope != EVERYWHERE:
            for speak in _ON_PLACES:
                yield from speak(change, side.scope, room)


def _boards(changes: Sequence[Change], room: _Room, memory: Memory | None) -> Iterator[Diagnostic]:
    """Yield, once for each account, what public links to boards it may hold on to, or will be able to make."""
    if BOARD_LINKS not in room.state.traits.blind_spots:
        return
    told: set[str] = set()
    for change in changes:
        name = account_of(change.key) or ""
        if name not in told and _is_loss(change, room.state) and (role := _sharing_role(name, room, memory)):
            told.add(name)
            yield note(
                "keeps-board-links",
                f"{name} {role}: a public link to a board that it shared stays open, and no list shows it",
                about=change.key,
                hint="look at its boards before the account goes; only a new APP_SECRET ends such links for certain",
            )
        if isinstance(change.after, Grant) and change.after.scope == EVERYWHERE and change.before is None:
            yield note(
                "may-share-boards",
                f"as {change.after.role} one may share boards publicly, whatever one's role in the team, and no list shows it",
                about=change.key,
                hint="view-only, which new accounts begin with, cannot",
            )


def _is_loss(change: Change, state: NativeState) -> bool:
    """Tell whether a change takes access away, the account itself included."""
    return is_closing(change, state) if isinstance(change.before, Grant) else change.after is None


def _sharing_role(name: str, room: _Room, memory: Memory | None) -> str:
    """Return in words which role lets an account share boards, or did when the last run ended; empty for none."""
    user = room.state.rows.users.get(room.live.ids.get(account_key(name), ""))
    if user is not None and user.role != NOBODY_SPECIAL:
        return f"has the role {user.role}"
    last = memory.last if memory is not None else None
    held = last.grant(Subject("account", name), EVERYWHERE) if last is not None else None
    return f"had the role {held.role}" if held is not None else ""


def is_closing(change: Change, state: NativeState) -> bool:
    """Tell whether a change of a grant takes something away."""
    if not isinstance(change.before, Grant) or not isinstance(change.after, Grant):
        return change.after is None
    kind, rank = change.after.scope.kind, state.traits.rank
    return rank(kind, change.after.role) < rank(kind, change.before.role)


def team_of(scope: Scope, live: Live, state: NativeState) -> str | None:
    """Return the id of the team that decides about a scope, as it was read."""
    if scope.kind == "team":
        return state.idle.get(scope.name)
    site = state.rows.sites.get(live.sites[scope].id) if scope in live.sites else None
    return site.team_id if site and site.team_id in state.rows.teams else None


def _own_account(change: Change, room: _Room) -> Iterator[Diagnostic]:
    if account_of(change.key) == room.live.me:
        yield error(
            "own-account",
            f"{room.live.me} is the account Siteward works with; it owns the managed teams and is never changed",
            about=change.key,
        )


def _clash(change: Change, room: _Room) -> Iterator[Diagnostic]:
    name = account_of(change.key) or ""
    if name in room.clashing:
        yield error(
            "login-clash",
            f"{', '.join(room.clashing[name])} differ only in case; which of them is meant cannot be distinguished",
            about=change.key,
            hint="rename one of them in Umami",
        )


def _login(change: Change, room: _Room) -> Iterator[Diagnostic]:
    """Yield what is wrong with the login of a new or renamed account (API.md section 4)."""
    after = change.after
    wanted = after.renamed or after.name if isinstance(after, Account) else ""
    own = room.user(change)
    taken = {user.username.lower() for user in room.state.rows.users.values() if user != own}
    if not wanted or "\0" in wanted or len(wanted) > LONGEST_LOGIN:
        yield error("login-impossible", f"a login has 1 to {LONGEST_LOGIN} characters in Umami", about=change.key)
    elif wanted != wanted.lower():
        yield error(
            "login-not-folded", f"Umami keeps logins in lower case, so {wanted} would not stay", about=change.key
        )
    elif wanted in taken:
        yield error("login-taken", f"another account has the login {wanted} already", about=change.key)


def _deletion(change: Change, room: _Room) -> Iterator[Diagnostic]:
    """Refuse to delete whoever owns something, because Umami would delete that too (MAPPING.md hazards 1 and 3)."""
    user = room.user(change)
    if user is None:
        return
    sites, teams = owned(user.id, room.state)
    for label in sites:
        yield _effect(
            "owns-sites",
            f"deleting {user.username} would destroy its site {label} with all statistics",
            change,
            "destroys",
            Severity.ERROR,
            hint="let its owner move it into a team first, or delete it in Umami",
        )
    for name, lost in teams:
        yield _effect(
            "owns-teams",
            f"deleting {user.username} would destroy team {name} for all its members"
            + (f" and leave {', '.join(lost)} to nobody" if lost else ""),
            change,
            "destroys",
            Severity.ERROR,
            hint="a team's owner cannot be changed by API; suspend the account instead",
        )
    yield _effect(
        "deletes-account",
        f"its memberships and reports go with {user.username}, and from 3.2 on its boards, links and pixels",
        change,
        "destroys",
    )
    yield _effect("irreversible", "a recreated account has another id and another password", change, "irreversible")


def owned(user_id: str, state: NativeState) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Return the labels of an account's personal sites, and each team it owns with the labels of that team's sites."""
    rows = state.rows
    sites = tuple(sorted(state.labels[site.id] for site in rows.sites.values() if site.user_id == user_id))
    teams = sorted((team.name, team.id) for team in rows.teams.values() if user_id in owners(team))
    return sites, tuple((name, tuple(state.labels[site] for site in state.sites_of.get(at, ()))) for name, at in teams)


def _ownership(change: Change, scope: Scope, _: _Room) -> Iterator[Diagnostic]:
    if OWNER in {side.role for side in (change.before, change.after) if isinstance(side, Grant)}:
        yield error(
            "owner-stays",
            f"who owns {scope} cannot be changed by API: there is no way back to owner",
            about=change.key,
            hint="the owner can hand a personal site over; a team's owner only SQL can change",
        )


def _placing(change: Change, scope: Scope, room: _Room) -> Iterator[Diagnostic]:
    """Yield what it takes that a site without a team gets its grants, or why it cannot (MAPPING.md section 4)."""
    site = room.site(scope)
    if site is None or team_of(scope, room.live, room.state) or is_closing(change, room.state):
        return
    team = team_name(room.state.labels[site.id])
    if is_foreign(site, room.state.rows, room.state.me):
        owner = room.state.rows.users.get(site.user_id or "")
        whose = f"belongs to {owner.username}" if owner else "belongs to nobody"
        yield _effect(
            "site-cannot-be-moved",
            f"{scope} {whose}, and Umami lets no admin move it into a team",
            change,
            "manual",
            Severity.ERROR,
            hint=_BY_HAND.format(team=team) if owner else "one SQL update of website.team_id moves it; no call does",
        )
    elif room.state.layout == "existing":
        yield error(
            "site-without-team",
            f"{scope} is in no team, and layout existing makes none",
            about=change.key,
            hint="move it into a team in Umami, or use layout per-site",
        )
    else:
        yield from _left(change, room.state.labels[site.id], room.state)
        yield _effect(
            "creates-team", f"makes team {team}, owned by {room.live.me}, if there is none", change, "creates"
        )
        yield _effect("moves-site", f"moves {scope} from {room.live.me} into team {team}", change, "moves")


def _left(change: Change, label: str, state: NativeState) -> Iterator[Diagnostic]:
    """Yield who is taken out of a managed team that lost its site, before it is used again."""
    left = left_over(label, state)
    others = others_in(left, state) if left is not None else ()
    if left is not None and others:
        yield note(
            "uses-team-again",
            f"team {left.name}, which has no site, is used again; {', '.join(others)} {'is' if len(others) == 1 else 'are'} "
            "taken out of it first, and its access code is set anew",
            about=change.key,
        )


def _sharing(change: Change, scope: Scope, room: _Room) -> Iterator[Diagnostic]:
    """Refuse a grant on one of several sites of a team, unless the same is wanted on all of them."""
    team = team_of(scope, room.live, room.state)
    name = account_of(change.key) or ""
    wanted = room.roles[name, scope]
    places = [Scope("site", room.state.labels[text]) for text in room.state.sites_of.get(team or "", ())]
    others = [str(place) for place in places if room.roles.get((name, place), OWNER) != wanted]
    if others:
        verb = "close" if is_closing(change, room.state) else "open"
        yield error(
            "shared-team",
            f"{scope} is in team {room.state.rows.teams[team or ''].name} with others; this would also {verb} "
            f"{', '.join(others)} for {name}",
            about=change.key,
            hint="grant the same role on all of them, or split the team in Umami",
        )


def _team_alone(change: Change, scope: Scope, room: _Room) -> Iterator[Diagnostic]:
    if scope.kind == "team" and not is_closing(change, room.state):
        yield error("team-without-site", f"{scope} has no site, so there is nothing to grant", about=change.key)


def _unmanaged(change: Change, scope: Scope, room: _Room) -> Iterator[Diagnostic]:
    """Refuse a role that only the file's words, or a release before 3.0, could have made up."""
    after = change.after
    if isinstance(after, Grant) and room.state.traits.role(scope.kind, after.role) is None:
        yield error("role-unknown", f"Umami has no role {after.role} on a {scope.kind}", about=change.key)


def _consequences(change: Change, scope: Scope, room: _Room) -> Iterator[Diagnostic]:
    """Yield what comes with a membership: the new access code, the gap at duplicates, what editors may do."""
    team, after = team_of(scope, room.live, room.state), change.after
    if team and is_closing(change, room.state):
        yield note(
            "new-access-code",
            f"team {room.state.rows.teams[team].name} gets a new access code, so that the old one opens nothing",
            about=change.key,
        )
    user = room.user(change)
    if team and user and isinstance(after, Grant) and len(people(room.state.rows.teams[team]).get(user.id, ())) > 1:
        yield _effect(
            "replaces-duplicates",
            f"{user.username} is in the team several times; all are removed and one is added again",
            change,
            "gap",
        )
    if isinstance(after, Grant) and after.role in {"team-member", "team-manager"}:
        yield note(
            "edit-may-delete", f"as {after.role} one may also reset and delete {scope} in Umami", about=change.key
        )


def _effect(
    code: str,
    message: str,
    change: Change,
    effect: Effect,
    severity: Severity = Severity.NOTE,
    hint: str | None = None,
) -> Diagnostic:
    return diagnostic(severity, code, message, about=change.key, effect=effect, hint=hint)


_ON_ALL: tuple[Callable[[Change, _Room], Iterable[Diagnostic]], ...] = (_own_account, _clash)
_ON_PLACES: tuple[Callable[[Change, Scope, _Room], Iterable[Diagnostic]], ...] = (
    _ownership, _placing, _sharing, _team_alone, _unmanaged, _consequences,
)  # fmt: skip
